"""immure certificate: the certificates of a running immure-proxy are listed, added, replaced and removed."""

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import clients
import folders
import harness
from certificates import certificate, der, encrypted

GOOD, FAILED, USAGE, UNREACHABLE = range(4)


def read(path):
    with open(path, "rb") as file:
        return file.read()


class CommandTest(folders.FolderTest):
    """A proxy with a folder of the certificates a.example and b.example."""

    NAMES = ("a.example", "b.example")

    def setUp(self):
        super().setUp()
        self.control = os.path.join(self.directory, "control.sock")

    def put(self, made, name=None):
        for source, ending in ((made.key, ".key"), (made.chain, ".crt")):
            shutil.copy(source, self.path(name or made.names[0], ending))
        os.chmod(self.path(name or made.names[0], ".key"), 0o600)

    def start(self, top="", frontend=""):
        return super().start(frontend, top=f'control-socket = "{self.control}"\n{top}')

    def immure(self, *arguments, status=GOOD):
        """Its standard output or, if it is expected to fail, its one line of complaint."""
        result = subprocess.run(
            [harness.program_path("immure"), "certificate", *arguments, "--proxy", self.control], text=True,
            stdin=subprocess.DEVNULL, capture_output=True, cwd=self.directory, timeout=harness.LIMIT)
        self.assertIsNone(harness.SANITIZER_REPORT.search(result.stderr), result.stderr)
        self.assertEqual(result.returncode, status, f"{arguments}: {result.stdout}{result.stderr}")
        if status == GOOD or not result.stderr:
            self.assertEqual(result.stderr, "")
            return result.stdout
        self.assertRegex(result.stderr, r"\Aimmure: [^\n]*\n\Z")
        return result.stderr[len("immure: "):-1]

    def objects(self, *arguments):
        return [json.loads(line) for line in self.immure(*arguments, "--json").splitlines()]

    def files(self):
        """{name: (bytes, mode)} of all files of the folder, hidden ones too."""
        return {name: (read(self.path(name)), os.stat(self.path(name)).st_mode & 0o777)
                for name in os.listdir(self.folder) if os.path.isfile(self.path(name))}


class Look(CommandTest):
    def test_list(self):
        self.start()
        lines = self.immure("list").splitlines()
        self.assertRegex(lines[0], r"\ANAME +TYPE +UNTIL +PROBLEMS +FILE\Z")
        self.assertRegex(lines[1], rf"\Aa\.example \+1 +P-256 +20\d\d-\d\d-\d\d  - +{self.path('a.example', '.crt')}\Z")
        self.assertEqual(len(lines), 3)
        self.assertEqual(len(self.immure("list", "B.EXAM").splitlines()), 2)
        self.assertEqual(len(self.immure("list", "nowhere").splitlines()), 1)
        *listed, end = self.objects("list")
        self.assertEqual([each["names"][0] for each in listed], ["a.example", "b.example"])
        self.assertEqual(end, {"result": "done", "found": 2, "certificates": 2, "unusable": 0})
        key_id = listed[0]["key_id"]
        self.assertEqual([each["key_id"] for each in self.objects("list", key_id[5:20])[:-1]], [key_id])

    def test_show(self):
        names = [f"n{number}.example" for number in range(40)]
        made = certificate("p-256", *names)
        self.put(made, "many")
        self.start()
        for name in ("b.example", self.path("b.example", ".crt"), "b.example.crt"):
            text = self.immure("show", name)
            self.assertIn(f"certificate  {self.path('b.example', '.crt')}\n", text)
            self.assertIn(f"{self.path('b.example', '.key')}, P-256, held by immured\n", text)
            self.assertRegex(text, r'\nserved by +frontend "https"\n')
            self.assertIn("(folder)", text)
            self.assertNotIn("a.example", text)
        shown = self.immure("show", "n30.example")
        for name in (*names, "ip:127.0.0.1"):
            self.assertRegex(shown, rf" {name}\n")
        *lines, end = self.objects("show", "many.crt")
        self.assertEqual(sum((line["names"] for line in lines), []), [*names, "ip:127.0.0.1"])
        self.assertEqual((lines[0]["name_count"], end["found"]), (41, 1))
        self.assertIn("no certificate has the name or file 'example'", self.immure("show", "example", status=FAILED))

    def test_control_characters(self):
        """Those in names of certificates and files forge no lines, and do not come to the terminal."""
        name = "red\x1b[31m\nline\x7f\u009b31m"
        self.put(certificate("p-256", "e\x1b[2J.example"), name)
        self.start()
        shown = "red?[31m?line???31m"
        listed = self.immure("list")
        self.assertEqual(len(listed.splitlines()), 4)
        self.assertIn("e?[2j.example +1", listed)
        os.truncate(self.path("b.example", ".crt"), 0)
        os.rename(self.path("b.example", ".crt"), self.path(name + "2", ".crt"))
        for text in (listed, self.immure("show", name + ".crt"), self.immure("check", status=FAILED)):
            self.assertIn(self.path(shown), text)
            self.assertNotRegex(text, r"[^\n -~]")
        new = certificate("p-256", "d.example")
        for arguments in (["add", new.chain, new.key, "--as", name], ["add", name], ["remove", name]):
            self.assertIn(shown, self.immure(*arguments, status=FAILED))
        hostile = certificate("p-256", "d\x1b[2J.example")
        self.assertIn('files cannot be called "d?[2J.example"',
                      self.immure("add", hostile.chain, hostile.key, status=FAILED))
        os.unlink(self.path(name + "2", ".crt"))
        self.assertIn(self.path(shown, ".crt"), self.immure("remove", name + ".crt"))
        self.assertFalse(os.path.exists(self.path(name, ".crt")))

    def test_check(self):
        self.start()
        self.assertEqual(self.immure("check"),
                         "0 would be added, 0 replaced, 0 removed; 0 files cannot be used\n")
        self.put(certificate("p-256", "d.example"))
        self.put(certificate("p-256", "a.example", serial=2))
        for ending in (".crt", ".key"):
            os.unlink(self.path("b.example", ending))
        text = self.immure("check")
        for change, name in (("added", "d"), ("replaced", "a"), ("removed", "b")):
            self.assertRegex(text, rf"(?m)^{change} +{self.path(name + '.example', '.crt')}  \({name}.example \+1\)$")
        self.assertIn("1 would be added, 1 replaced, 1 removed; 0 files cannot be used", text)
        with open(self.path("x", ".crt"), "w", encoding="ascii") as file:
            file.write("nothing")
        self.assertRegex(self.immure("check", status=FAILED),
                         r"unusable +\S+x.crt: not a PEM certificate chain: no start line; it is not served\n")
        self.assert_shown(*self.made.values())
        self.assertEqual(len(self.objects("list")), 3)
        self.assertNotIn("is added", self.proxy.log())
        self.assertNotIn("it is not served", self.proxy.log())

    def test_nobody_answers(self):
        self.assertIn("(is immure-proxy running, with control-socket?)", self.immure("list", status=UNREACHABLE))
        listener = self.own(socket.socket(socket.AF_UNIX))
        listener.bind(self.control)
        listener.listen()

        def answer(text):
            connection, _ = listener.accept()
            connection.sendall(text)
            connection.close()
        for text, complaint in ((b"", "the answer ends before its end"), (b"SSH-2.0\r\n", "is not immure-proxy"),
                                (b'{"chain": "x"}\n', "the answer ends before its end"),
                                (b'{"result": "odd"}\n', "in a way that this program does not know")):
            with self.subTest(text=text):
                thread = threading.Thread(target=answer, args=(text,))
                thread.start()
                status = FAILED if b"odd" in text else UNREACHABLE
                self.assertIn(complaint, self.immure("list", "--json", status=status))
                thread.join()


class Change(CommandTest):
    def test_added_replaced_and_removed_under_load(self):
        proxy = self.start()
        established = self.own(clients.connect(proxy.port, name="a.example"))
        tls = clients.context(clients.TLS12)
        with clients.connect(proxy.port, tls, name="a.example") as connection:
            clients.echo_once(connection)
            session = connection.session
        load = clients.HandshakeLoad(proxy.port, 2)
        new, next_b = certificate("p-256", "d.example"), certificate("p-256", "b.example", serial=2)
        self.assertEqual(self.immure("add", new.chain, new.key), f"added     {self.path('d.example', '.crt')}\n")
        self.assert_shown(new)
        self.assertEqual(self.immure("replace", "b.example", next_b.chain, next_b.key),
                         f"replaced  {self.path('b.example', '.crt')}\n")
        self.assert_shown(next_b)
        self.assertEqual(self.immure("remove", "d.example"), f"removed   {self.path('d.example', '.crt')}\n")
        self.assertNotEqual(self.shown("d.example"), der(new))
        load.stop()
        self.assertEqual(load.failures, [])
        clients.echo_once(established)
        with clients.connect(proxy.port, tls, name="a.example", session=session) as connection:
            self.assertTrue(connection.session_reused)
        self.assert_same_processes()
        self.assertEqual(set(self.files()), {"a.example.crt", "a.example.key", "b.example.crt", "b.example.key"})
        self.assertEqual(self.files()["b.example.key"], (read(next_b.key), 0o600))
        self.assertEqual(proxy.stop(), [])
        self.start()
        self.assert_shown(self.made["a.example"], next_b)

    def test_names_of_files(self):
        proxy = self.start()
        wild = certificate("p-256", "*.wild.example")
        self.assertIn(self.path("_.wild.example", ".crt"), self.immure("add", wild.chain, wild.key))
        new = certificate("p-256", "d.example")
        self.assertIn(self.path("other", ".crt"), self.immure("add", new.chain, new.key, "--as", "other"))
        self.assertEqual(self.files()["other.key"], (read(new.key), 0o600))
        self.assertEqual(self.files()["other.crt"][1], os.stat(self.path("a.example", ".crt")).st_mode & 0o777)
        both = os.path.join(self.directory, "both.pem")
        third = certificate("p-256", "e.example")
        with open(both, "wb") as file:
            file.write(read(third.chain) + read(third.key))
        self.assertIn(self.path("e.example", ".pem"), self.immure("add", both))
        self.assertEqual(self.files()["e.example.pem"], (read(both), 0o600))
        self.assert_shown(new, third)
        fourth = certificate("p-256", "e.example", serial=4)
        self.assertIn(self.path("e.example", ".pem"), self.immure("replace", "e.example", fourth.chain, fourth.key))
        self.assertEqual(self.files()["e.example.pem"], (read(fourth.chain) + read(fourth.key), 0o600))
        self.assert_shown(fourth)
        self.immure("replace", "other.crt", both)
        self.assertEqual(self.files()["other.crt"][0].strip(), read(third.chain).strip())
        self.immure("remove", "e.example.pem")
        self.assertFalse(os.path.exists(self.path("e.example", ".pem")))
        self.assert_same_processes()
        self.assertEqual(proxy.log().count("asks for a refresh"), 6)

    def test_refusals_before_anything_is_written(self):
        self.start()
        a, new = self.made["a.example"], certificate("p-256", "d.example")
        other, both = certificate("p-256", "e.example"), certificate("p-256", "f.example", "A.example")
        secret, _ = encrypted(new, "secret")
        junk = os.path.join(self.directory, "junk")
        with open(junk, "w", encoding="ascii") as file:
            file.write("nothing\n")
        before = self.files()
        for arguments, complaint in (
            (["add", new.chain, other.key], f"{other.key}: it is not the key of the certificate in {new.chain}"),
            (["add", new.chain], f"{new.chain}: there is no private key in it; say its file, too"),
            (["add", junk, new.key], f"{junk}: there is no certificate in it"),
            (["add", new.chain, junk], f"{junk}: "),
            (["add", new.chain, secret.key], f"{secret.key}: "),
            (["add", "absent", new.key], "absent: No such file or directory"),
            (["add", new.chain, "absent"], "absent: No such file or directory"),
            (["add", self.folder, new.key], f"{self.folder}: Is a directory"),
            (["add", a.chain, a.key], "a.example has a certificate already, in"),
            (["add", both.chain, both.key, "--as", "0first"], "A.example has a certificate already, in"),
            (["add", new.chain, new.key, "--as", "a.example"],
             f"{self.path('a.example')} has files already; immure certificate replace replaces them"),
            (["add", new.chain, new.key, "--as", "../x"], '--as: "../x" cannot be the name of files'),
            (["add", new.chain, new.key, "--as", ".x"], '--as: ".x" cannot be'),
            (["add", new.chain, new.key, "--as", "x.crt"], '--as: "x.crt" cannot be'),
            (["add", new.chain, new.key, "--as", "x" * 201], "cannot be the name"),
            (["add", new.chain, new.key, "--folder", self.directory],
             f"{self.directory} is no folder of immure-proxy; there are: {self.folder}"),
            (["replace", "nowhere", new.chain, new.key], "no certificate has the name or file 'nowhere'"),
            (["replace", "ip:127.0.0.1", new.chain, new.key], "there are several: "),
            (["replace", "a.example", new.chain, other.key], "it is not the key of"),
            (["remove", "nowhere"], "no certificate has the name or file 'nowhere'"),
        ):
            with self.subTest(arguments=arguments):
                self.assertIn(complaint, self.immure(*arguments, status=FAILED))
                self.assertEqual(self.files(), before)
        self.assertNotIn("asks for a refresh", self.proxy.log())
        self.immure("replace", "a.example", status=USAGE)
        self.immure("add", status=USAGE)
        self.immure("list", "--folder", "x", status=USAGE)

    def test_what_the_proxy_refuses_is_taken_back(self):
        """A kind of key that the route has none of takes another worker, and so does the last one."""
        self.start()
        before = self.files()
        rsa = certificate("rsa-2048", "d.example")
        for arguments in (["add", rsa.chain, rsa.key], ["replace", "a.example", rsa.chain, rsa.key]):
            said = self.immure(*arguments, status=FAILED)
            self.assertIn("this takes a reload of immure-proxy, with another worker: a route gets its first", said)
            self.assertIn("; nothing has changed", said)
            self.assertEqual(self.files(), before)
        self.immure("remove", "b.example")
        before = self.files()
        self.assertIn("loses its last one", self.immure("remove", "a.example", status=FAILED))
        self.assertEqual(self.files(), before)
        self.assert_shown(self.made["a.example"])
        self.assert_same_processes()
        self.assertEqual(self.immure("check"),
                         "0 would be added, 0 replaced, 0 removed; 0 files cannot be used\n")

    def test_others_files(self):
        """Those of certbot and of lego, links, sections and lists."""
        certbot, link = certificate("p-256", "c.example"), certificate("p-256", "link.example")
        lego, section = certificate("p-256", "lego.example"), certificate("p-256", "section.example")
        listed = certificate("p-256", "listed.example")
        os.mkdir(self.path("c.example"))
        shutil.copy(certbot.chain, self.path("c.example", "/fullchain.pem"))
        shutil.copy(certbot.key, self.path("c.example", "/privkey.pem"))
        self.put(lego)
        shutil.copy(lego.chain, self.path("lego.example", ".issuer.crt"))
        os.symlink(link.chain, self.path("link", ".crt"))
        os.symlink(link.key, self.path("link", ".key"))
        path = os.path.join(self.directory, "list")
        with open(path, "w", encoding="ascii") as file:
            file.write(f"# comment\n{listed.chain}\n")
        proxy = self.start(frontend=f'certificate-list = "{path}"\n'
                                    f'certificate {{ chain = "{section.chain}" key = "{section.key}" }}')
        before = self.files()
        new = certificate("p-256", "d.example")
        for name, complaint in (("c.example", "is certbot's: certbot renews and deletes it"),
                                ("lego.example", "is lego's: lego renews and deletes it"),
                                ("link.example", "it is a link, so another program manages it"),
                                ("listed.example", f"is named in {path}:2: change the files or the text there"),
                                ("section.example", f"is named in {proxy.config_path}:")):
            for arguments in (["replace", name, new.chain, new.key], ["remove", name]):
                self.assertIn(complaint, self.immure(*arguments, status=FAILED))
        self.assertEqual(self.files(), before)

    def test_several_folders(self):
        second = os.path.join(self.directory, "certs-of-api")
        os.mkdir(second)
        api = certificate("p-256", "api.example")
        shutil.copy(api.chain, os.path.join(second, "api.crt"))
        shutil.copy(api.key, os.path.join(second, "api.key"))
        self.start(frontend=f'route "api" {{ certificates = "{second}" }}')
        new = certificate("p-256", "d.example")
        self.assertIn(f"--folder says which: {self.folder}, {second}",
                      self.immure("add", new.chain, new.key, status=FAILED))
        self.immure("add", new.chain, new.key, "--folder", os.path.join(second, "."))
        self.assertTrue(os.path.exists(os.path.join(second, "d.example.crt")))
        self.assertEqual(self.objects("show", "d.example")[0]["route"], "api")
        self.assert_shown(new)

    def test_a_folder_that_is_watched(self):
        """The watcher of folders and the tool do not disturb each other."""
        self.start(top="certificates-watch = yes")
        for serial in range(2, 6):
            made = certificate("p-256", "b.example", serial=serial)
            self.immure("replace", "b.example", made.chain, made.key)
            self.assert_shown(made)
        new = certificate("p-256", "d.example")
        self.immure("add", new.chain, new.key)
        self.assert_shown(new)
        self.immure("remove", "d.example")
        self.assert_same_processes()
        self.assertNotIn("refuses its key", self.proxy.log())
        self.assertEqual(len(self.files()), 4)

    def test_while_a_configuration_comes_up(self):
        """It may see the files before they are taken back, so what is asked for is done after it."""
        proxy = self.start()
        for number in range(3):
            new = certificate("p-256", f"n{number}.example")
            proxy.write_config(proxy.config + f"# {number}\n")
            proxy.signal(signal.SIGHUP)
            harness.wait_until(lambda number=number: proxy.log().count("HUP: reading") > number, "HUP")
            self.immure("add", new.chain, new.key)
            self.assert_shown(new)
            self.immure("remove", f"n{number}.example" if number < 2 else "b.example")
        self.assertEqual(set(self.files()), {"a.example.crt", "a.example.key", "n2.example.crt", "n2.example.key"})

    def test_two_at_a_time(self):
        self.start()
        made = [certificate("p-256", f"n{number}.example") for number in range(4)]
        results = []

        def add(each):
            result = subprocess.run(
                [harness.program_path("immure"), "certificate", "add", each.chain, each.key, "--proxy", self.control],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=harness.LIMIT)
            results.append((each, result.returncode, result.stderr))
        threads = [threading.Thread(target=add, args=(each,)) for each in made]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        served = [each for each, status, _ in results if status == GOOD]
        self.assertGreater(len(served), 0)
        for _, status, said in results:
            if status != GOOD:
                self.assertIn("another immure is changing it", said)
        self.assert_shown(*served)
        self.assertEqual(len(self.files()), 4 + 2 * len(served))


class Interrupted(CommandTest):
    def leave(self, *names, made):
        """Files as a program that was killed leaves them."""
        for name in names:
            shutil.copy(made.key if ".key" in name else made.chain, self.path(name))

    def test_what_a_killed_one_has_left(self):
        self.start()
        old, new = self.made["b.example"], certificate("p-256", "b.example", serial=2)
        third = certificate("p-256", "d.example")

        def next_run():
            self.immure("add", third.chain, third.key)
            self.immure("remove", "d.example")
            self.assertEqual(set(self.files()) - {"a.example.crt", "a.example.key"}, {"b.example.crt", "b.example.key"})

        def pair():
            return self.files()["b.example.crt"][0], self.files()["b.example.key"][0]
        for hidden in ((".b.example.key.immure-new",), (".b.example.key.immure-new", ".b.example.crt.immure-new"),
                       (".z.pem.immure-new", ".y.ocsp.immure-old"), (".b.example.key.immure-old",)):
            with self.subTest(hidden=hidden):
                self.leave(*hidden, made=new)
                next_run()
                self.assertEqual(pair(), (read(old.chain), read(old.key)))
        with self.subTest("the new key is in place, the new chain is not"):
            self.leave(".b.example.key.immure-old", ".b.example.crt.immure-old", made=old)
            self.leave("b.example.key", ".b.example.crt.immure-new", made=new)
            next_run()
            self.assertEqual(pair(), (read(new.chain), read(new.key)))
            self.assert_shown(new)
        with self.subTest("the old key is back, the old chain is not"):
            self.leave("b.example.key", ".b.example.crt.immure-old", made=old)
            next_run()
            self.assertEqual(pair(), (read(old.chain), read(old.key)))
        with self.subTest("both are in place, and kept"):
            self.leave(".b.example.key.immure-old", ".b.example.crt.immure-old", made=old)
            self.leave("b.example.key", "b.example.crt", made=new)
            next_run()
            self.assertEqual(pair(), (read(new.chain), read(new.key)))

    def test_folders_stay(self):
        """Those that have the names of files keep nothing from being changed."""
        self.start()
        folders = [self.path(name) for name in ("b.example.ocsp", ".x.crt.immure-old", ".y.key.immure-new")]
        for path in folders:
            os.mkdir(path)
        self.immure("remove", "b.example")
        new = certificate("p-256", "d.example")
        self.immure("add", new.chain, new.key)
        for path in folders:
            self.assertTrue(os.path.isdir(path), path)
        self.assertEqual(set(self.files()), {"a.example.crt", "a.example.key", "d.example.crt", "d.example.key"})

    def test_removal_without_a_key(self):
        os.unlink(self.path("b.example", ".key"))
        self.start()
        new = certificate("p-256", "b.example", serial=2)
        self.assertIn("b.example.key: No such file or directory",
                      self.immure("replace", "b.example", new.chain, new.key, status=FAILED))
        self.immure("remove", "b.example")
        self.assertEqual(set(self.files()), {"a.example.crt", "a.example.key"})

    @harness.needs_root("to make a file immutable")
    @harness.needs("chattr")
    def test_half_of_a_removal(self):
        self.start()
        before = self.files()
        key = self.path("b.example", ".key")
        if subprocess.run(["chattr", "+i", key], capture_output=True).returncode != 0:
            self.skipTest("this file system has no immutable files")
        try:
            self.assertIn(f"{key}: Operation not permitted", self.immure("remove", "b.example", status=FAILED))
            self.assertEqual(self.files(), before)
        finally:
            subprocess.run(["chattr", "-i", key], check=True)

    def test_killed_at_any_time(self):
        """The pair is the old one or the new one, and the next run goes on."""
        self.start()
        made = [certificate("p-256", "b.example", serial=serial) for serial in (2, 3)]
        pairs = [(read(each.chain), read(each.key)) for each in (self.made["b.example"], *made)]
        for number in range(harness.scaled(24, 6)):
            each = made[number % 2]
            program = subprocess.Popen(
                [harness.program_path("immure"), "certificate", "replace", "b.example", each.chain, each.key,
                 "--proxy", self.control], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL)
            time.sleep(0.007 * number)
            program.send_signal((signal.SIGKILL, signal.SIGINT, signal.SIGTERM)[number % 3])
            program.wait()
            if number % 3 != 0:  # SIGKILL may come between two files; the next run ends what was begun
                self.assertIn((read(self.path("b.example", ".crt")), read(self.path("b.example", ".key"))), pairs)
        self.immure("replace", "b.example", made[0].chain, made[0].key)
        self.assert_shown(made[0])
        self.assertEqual(len(self.files()), 4)
        self.assert_same_processes()


if __name__ == "__main__":
    harness.main()
