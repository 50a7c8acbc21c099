"""
No files of the house include each other in a circle. A header and the source of the same name are
one file, so a source may not use what is above its own header.
"""

import os
import re
import tempfile
import unittest

HOUSE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "src")
INCLUDE = re.compile(r'^#include "([^"]+)"', re.MULTILINE)


def includes(house):
    """What each file includes of the house, by their names without an ending."""
    graph = {}
    for folder, _, names in os.walk(house):
        for name in names:
            path = os.path.join(folder, name)
            stem, ending = os.path.splitext(os.path.relpath(path, house))
            if ending not in (".c", ".h"):
                continue
            with open(path, encoding="utf-8") as file:
                headers = INCLUDE.findall(file.read())
            found = {os.path.splitext(each)[0] for each in headers if os.path.exists(os.path.join(house, each))}
            graph.setdefault(stem, set()).update(found - {stem})
    return graph


def circles(graph):
    """The files that are left when those that include nothing that is left are taken away, again and again, and then
    those that nothing includes: what lies on a circle or between two of them."""
    left = {name: set(used) for name, used in graph.items()}
    def take(is_free):
        while free := [name for name in left if is_free(name)]:
            for name in free:
                del left[name]
    take(lambda name: not left[name] & left.keys())
    take(lambda name: not any(name in used for used in left.values()))
    return left


def described(graph):
    left = circles(graph)
    return [f"{name} includes {', '.join(sorted(left[name] & left.keys()))}" for name in sorted(left)]


class Circles(unittest.TestCase):
    def test_no_files_include_each_other(self):
        graph = includes(HOUSE)
        self.assertGreater(len(graph), 200, "the house has more files than that")
        self.assertEqual(described(graph), [])

    def test_a_circle_is_found(self):
        files = {"a/below.h": [], "a/first.h": ["a/below.h"], "a/first.c": ["a/first.h", "a/second.h"],
                 "a/second.h": ["a/third.h"], "a/third.h": [], "a/third.c": ["a/third.h", "a/first.h"],
                 "a/above.c": ["a/first.h"]}
        with tempfile.TemporaryDirectory() as house:
            os.mkdir(os.path.join(house, "a"))
            for name, headers in files.items():
                with open(os.path.join(house, name), "w", encoding="utf-8") as file:
                    file.writelines(f'#include "{each}"\n' for each in headers)
            self.assertEqual(described(includes(house)), [
                "a/first includes a/second", "a/second includes a/third", "a/third includes a/first"])
            os.remove(os.path.join(house, "a/third.c"))
            self.assertEqual(described(includes(house)), [])


if __name__ == "__main__":
    unittest.main()
