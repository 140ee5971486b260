"""A folder of 80 files of all kinds: good ones, each with a word of its own, and bad ones."""

import bz2
import gzip
import io
import json
import lzma
import os
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.sources_files import docx, epub, locked, mail, pdf, zipped

FIXTURES = Path(__file__).resolve().parent.parent / "tests/data/sources"
_RUSSIAN = "Привет мир, это простой русский текст для проверки кодировки. "
_JAPANESE = "これは日本語のテキストです。文字コードを調べるための文章です。"
_GERMAN = "Größe und Übermut in der Küche, schöne Grüße aus München. "


@dataclass(slots=True)
class Folder:
    """A folder that is being filled.

    Attributes:
        root: of it.
        words: id of a document that must be found -> a word that only it holds.
        faults: path below the root of what must be named -> a part of the reason.
    """

    root: Path
    words: dict[str, str] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)

    def word(self, doc_id: str) -> str:
        """Return a new word for the document of that id."""
        letters = "bcdfghjklmnpqrstvwxz"
        number = len(self.words)
        word = f"zoq{letters[number // 20 % 20]}a{letters[number % 20]}u"
        self.words[doc_id] = word
        return word

    def good(self, name: str, text: str, encoding: str = "utf-8") -> None:
        """Write a text, in which WORD stands for a new word."""
        self.write(name, text.replace("WORD", self.word(name)).encode(encoding))

    def bad(self, name: str, data: bytes, reason: str) -> None:
        """Write what cannot be read."""
        self.faults[name] = reason
        self.write(name, data)

    def write(self, name: str, data: bytes) -> None:
        """Write a file, with the folders that it needs."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def make_folder(root: Path) -> Folder:
    """Fill a folder; links, pipes and all."""
    folder = Folder(root)
    _texts(folder)
    _documents(folder)
    _records(folder)
    _packed(folder)
    _broken(folder)
    _bombs(folder)
    _names(folder)
    return folder


def _texts(folder: Folder) -> None:
    folder.good("plain.txt", "some text WORD here")
    folder.good("mark.txt", "\ufeffmarked WORD")
    folder.good("crlf.txt", "one\r\nWORD\r\n")
    folder.good("wide.txt", "wide WORD with ümlauts", "utf-16")
    folder.good("unmarked.txt", "wide WORD without a mark", "utf-16-le")
    folder.good("latin.txt", _GERMAN + "WORD", "latin-1")
    folder.good("russian.txt", _RUSSIAN * 3 + "WORD", "cp1251")
    folder.good("koi.txt", _RUSSIAN * 3 + "WORD", "koi8-r")
    folder.good("japanese.txt", _JAPANESE * 3 + " WORD ", "shift_jis")
    folder.good("controls.txt", "a bell\x07 rings in this text of some length, WORD, and a \0 too")
    folder.good("README", "no suffix WORD")
    folder.good("notes.xyz", "a suffix that nobody knows WORD")
    folder.good("text.png", "a text that is called a picture WORD")
    folder.good("line.txt", "long " * 200_000 + "WORD")
    folder.good("a/b/c/d/e/deep file ünï.txt", "deep WORD")
    folder.good("front.md", "---\ntitle: T\ndate: 2020-01-02\n---\n# Head\n\nbody WORD\n")
    folder.good("toml.md", '+++\ntitle = "T"\n+++\nbody WORD\n')
    folder.good("unfit.md", "---\n: : [\n---\n# Head\n\nbody WORD\n")
    folder.good("aliases.md", "---\na: &a [x, x]\nb: [*a, *a]\n---\nbody WORD\n")
    folder.good("title.rst", "=====\nTitle\n=====\n\nWORD text\n")
    folder.good("code.py", "def WORD() -> None: ...\n")
    folder.good("code.c", "int WORD(void) { return 0; }\n")


def _documents(folder: Folder) -> None:
    page = "<!doctype html><title>T</title><p>seen WORD<script>unseen</script>"
    folder.good("page.html", page)
    folder.good("latin.htm", f"<meta charset=iso-8859-1><p>{_GERMAN} WORD", "latin-1")
    folder.good("page.txt", page)  # misnamed
    folder.good("nested.html", "<div>" * 20_000 + "WORD")
    folder.write("a.pdf", pdf(folder.word("a.pdf")))
    folder.write("pdf.txt", pdf(folder.word("pdf.txt")))  # misnamed
    folder.write("a.docx", docx(folder.word("a.docx")))
    folder.write("docx.bin", docx(folder.word("docx.bin")))  # misnamed
    folder.write("a.epub", epub(folder.word("a.epub")))
    folder.write("a.eml", mail(folder.word("a.eml"), folder.word("a.eml/note.txt")))
    messages = (folder.word("a.mbox#1"), folder.word("a.mbox#2"))
    folder.write(
        "a.mbox", "\n".join(f"From x\nSubject: s\n\n{each}\n" for each in messages).encode()
    )


def _records(folder: Folder) -> None:
    folder.write(
        "a.csv", f"id;text;n\nc1;{folder.word('c1')};1\nc2;{folder.word('c2')};2\n".encode()
    )
    folder.write(
        "bare.csv", f"1,{folder.word('bare.csv#1')} x\n2,{folder.word('bare.csv#2')}\n".encode()
    )
    folder.write("wide.csv", f"id,text\nw1,{folder.word('w1')}\n".encode("utf-16"))
    folder.write("a.tsv", f'id\ttext\nt1\t"{folder.word("t1")}\n'.encode())
    lines = [f'{{"id": "{name}", "text": "{folder.word(name)}"}}' for name in ("l1", "l2")]
    folder.write("a.jsonl", f"{lines[0]}\n{{broken\n{lines[1]}\n".encode())
    folder.faults["a.jsonl:2"] = "expected one JSON object"
    records = [{"title": "T", "contents": folder.word(f"a.json#{at}")} for at in (1, 2)]
    folder.write("a.json", json.dumps(records).encode())
    folder.good("package.json", '{"name": ["x\\nWORD"]}')
    folder.bad("broken.json", b'{"a": [', "not JSON")


def _packed(folder: Folder) -> None:
    folder.write("a.txt.gz", gzip.compress(folder.word("a.txt.gz").encode()))
    folder.write("a.txt.xz", lzma.compress(folder.word("a.txt.xz").encode()))
    line = f'{{"id": "z1", "text": "{folder.word("z1")}"}}'.encode()
    folder.write("b.jsonl.bz2", bz2.compress(line))
    inner = zipped({"in.txt": folder.word("a.zip/inner.zip/in.txt").encode()})
    members = {
        "x/y.txt": folder.word("a.zip/x/y.txt").encode(),
        "doc.pdf": pdf(folder.word("a.zip/doc.pdf")),
        "inner.zip": inner,
        "../up.txt": b"climbs out",
        "pic.png": b"\x89PNG\r\n",
    }
    folder.write("a.zip", zipped(members))
    folder.faults |= {"a.zip/../up.txt": "leads out", "a.zip/pic.png": "PNG"}
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name in ("t/a.md", "/abs.txt"):
            text = b"absolute"
            if name == "t/a.md":
                text = f"# Tar\n{folder.word('a.tar.gz/t/a.md')}".encode()
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    folder.write("a.tar.gz", data.getvalue())
    folder.faults |= {"a.tar.gz//abs.txt": "leads out", "a.tar.gz/link": "link"}


def _broken(folder: Folder) -> None:
    noise = bytes(range(256)) * 40
    folder.bad("empty.txt", b"", "no words")
    folder.bad("spaces.txt", b" \n\t \n", "no words")
    folder.bad("empty.pdf", b"", "empty")
    folder.bad("noise.txt", noise, "no text")
    folder.bad("noise.bin", noise, "no text")
    folder.bad("picture.png", b"\x89PNG\r\n\x1a\n" + noise, "PNG")
    folder.bad("picture.txt", b"\xff\xd8\xff\xe0" + noise, "JPEG")
    folder.bad("program", b"\x7fELF" + noise, "program")
    folder.bad("cut.pdf", b"%PDF-1.4\n1 0 obj\n<< /Type /Cat", "no PDF, or damaged")
    folder.bad("locked.pdf", (FIXTURES / "locked.pdf").read_bytes(), "password")
    folder.bad("scan.pdf", (FIXTURES / "scan.pdf").read_bytes(), "images")
    folder.bad("round.pdf", pdf("x").replace(b"/Kids [3 0 R]", b"/Kids [2 0 R]"), "")
    folder.bad("broken.docx", b"PK\x03\x04 no more", "damaged")
    folder.bad("other.docx", zipped({"[Content_Types].xml": b""}), "lacks word/document.xml")
    folder.write("zip.docx", zipped({"x.txt": folder.word("zip.docx/x.txt").encode()}))
    office = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
    folder.bad("locked.docx", office + "EncryptedPackage".encode("utf-16-le"), "password")
    folder.bad("old.doc", office, "old Office")
    folder.bad("broken.epub", zipped({"mimetype": b"application/epub+zip"}), "lacks META-INF")
    folder.bad("cut.txt.gz", gzip.compress(os.urandom(5000))[:2000], "damaged")
    folder.bad("cut.zip", zipped({"a.txt": b"x" * 9000})[:60], "no zip file")
    folder.bad("broken.parquet", b"PAR1 and no more", "arquet")
    folder.write("locked.zip", locked(zipped({"secret.txt": b"secret"})))
    folder.faults["locked.zip/secret.txt"] = "password"


def _bombs(folder: Folder) -> None:
    zeros = bytes(1 << 20)
    data = io.BytesIO()
    with gzip.GzipFile(fileobj=data, mode="w", compresslevel=1) as file:
        for _ in range(300):
            file.write(zeros)
    folder.bad("bomb.txt.gz", data.getvalue(), "more than 100 MB")
    folder.bad("bomb.csv.gz", data.getvalue(), "")
    many = zipped({f"{at}.txt": b"a" * 20_000_000 for at in range(20)})
    folder.write("bomb.zip", many)
    folder.faults["bomb.zip/0.txt"] = "more than 100 times"
    nested = zipped({"x.txt": b"x"})
    for _ in range(6):
        nested = zipped({"n.zip": nested})
    folder.write("nested.zip", nested)
    folder.faults["nested.zip/n.zip/n.zip/n.zip/n.zip"] = "more than 3 others"
    laughs = '<!DOCTYPE x [<!ENTITY a "ha">' + "".join(
        f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    folder.bad("laughs.docx", docx("&i;", f"{laughs}]>"), "entities")
    with (folder.root / "huge.txt").open("wb") as file:
        file.truncate(5 << 30)
    folder.faults["huge.txt"] = "longer than"


def _names(folder: Folder) -> None:
    root = folder.root
    outside = root.parent / "outside.txt"
    outside.write_text(f"linked {folder.word('linked.txt')}", encoding="utf-8")
    (root / "linked.txt").symlink_to(outside)
    (root / "gone.txt").symlink_to("nowhere")
    (root / "round").symlink_to(".")
    os.mkfifo(root / "pipe.txt")
    folder.faults |= {"gone.txt": "nothing", "round": "another name", "pipe.txt": "not read"}
    folder.bad(".hidden.txt", b"hidden", "hidden")
    folder.write(".gitignore", b"*.tmp\nbuild/\n")
    folder.bad("x.tmp", b"ignored", "gitignore")
    folder.write("build/y.txt", b"ignored")
    folder.faults["build"] = "gitignore"
