"""What the documents name is there: files of this repository, and the other ends of links."""

import glob
import os
import re
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/**/*.md")

# A path as text or code has it. Not a part of a longer one, such as build/src/... or .../src/...
FOLDERS = "src|include|tests|script|bench|cmake|packaging|examples"
NAMED = re.compile(rf"(?<![\w/.-])((?:{FOLDERS})/[\w./-]*\w)")
ELSEWHERE = {("docs/from-neverbleed.md", "src/main.c")}  # a file of h2o
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)|<img [^>]*\bsrc=\"([^\"]+)\"")


def documents():
    for pattern in DOCUMENTS:
        yield from sorted(glob.glob(pattern, root_dir=ROOT, recursive=True))


def lines(document):
    with open(os.path.join(ROOT, document), encoding="utf-8") as file:
        yield from enumerate(file, start=1)


def there(path):
    return os.path.exists(os.path.join(ROOT, path))


class Documents(unittest.TestCase):
    def test_documents_are_found(self):
        found = list(documents())
        for document in ("README.md", "docs/README.md", "docs/tour.md", "docs/guides/nginx.md"):
            self.assertIn(document, found)

    def test_files_that_are_named(self):
        missing = [f"{document}:{number}: {path}" for document in documents()
                   for number, line in lines(document) for path in NAMED.findall(line)
                   if not there(path) and (document, path) not in ELSEWHERE]
        self.assertEqual(missing, [], "these are not in the repository")

    def test_links(self):
        missing = []
        for document in documents():
            for number, line in lines(document):
                for target in filter(None, (a or b for a, b in LINK.findall(line))):
                    if not re.match(r"[a-z]+:", target) and \
                            not there(os.path.join(os.path.dirname(document), target)):
                        missing.append(f"{document}:{number}: {target}")
        self.assertEqual(missing, [], "these links lead nowhere")

    def test_every_document_is_listed(self):
        with open(os.path.join(ROOT, "docs/README.md"), encoding="utf-8") as file:
            listed = set(re.findall(r"\]\(([^)#]+)", file.read()))
        for pattern in ("*.md", "guides/*.md"):
            for document in glob.glob(pattern, root_dir=os.path.join(ROOT, "docs")):
                if document != "README.md":
                    self.assertIn(document, listed)


if __name__ == "__main__":
    unittest.main()
