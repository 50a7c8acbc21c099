"""CPU time of a request for a signature, without the signature itself, through the adapter for each
TLS library that is present."""

import os

import window
from tables import at_most, cell, median, print_table

ADAPTERS = ("openssl", "boringssl", "picotls")
WINDOW = 64  # pending signatures
FIGURES = ("client_us", "immured_us", "requests_per_write")


def measure(setting, given):
    """{adapter: [figures]}"""
    seconds = 1.0 if given.quick else 3.0
    here = [name for name in ADAPTERS
            if os.path.exists(os.path.join(setting.tools, f"bench-adapter-{name}"))]
    rounds = {name: [] for name in here}
    for _ in range(given.rounds):
        for name in here:
            rounds[name].append(window.run_replayed(setting, WINDOW, seconds, f"bench-adapter-{name}"))
    print(f"## Adapters: CPU of a signature without the signature, {WINDOW} under way\n")
    print_table(("adapter", "", "client us", "immured us", "requests a write"),
                [(name, "", *(cell(median(rounds[name], figure), "{:.2f}") for figure in FIGURES))
                 if name in rounds else (name, "not built", "", "", "") for name in ADAPTERS])
    return rounds


def goals(found):
    for name, rounds in found.items():
        yield at_most(f"adapter for {name}, libimmure and socket: client's CPU us a signature",
                      median(rounds, "client_us"), "10")
