"""CPU time of a request for a signature, without the signature itself: libimmure, protocol and
socket."""

import window
from tables import at_most, cell, median, print_table

WINDOW = 32  # pending signatures
FIGURES = ("total_us", "client_us", "immured_us", "requests_per_write")


def measure(setting, given):
    """[figures]"""
    seconds = 1.0 if given.quick else 3.0
    rounds = [window.run_replayed(setting, WINDOW, seconds) for _ in range(given.rounds)]
    for each in rounds:
        each["total_us"] = each["client_us"] + each["immured_us"]
    print(f"## Exchange: CPU of a signature without the signature, {WINDOW} under way\n")
    print_table(("", "", "total us", "client us", "immured us", "requests a write"),
                [("exchange", "", *(cell(median(rounds, name), "{:.2f}") for name in FIGURES))])
    return rounds


def goals(found):
    yield at_most("libimmure, wire and socket: CPU us a signature", median(found, "total_us"), "10")
