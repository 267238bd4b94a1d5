from __future__ import annotations

import gzip
import random
import zlib
from pathlib import Path

import pytest

from astro_common.ecsv import header, open_ecsv, read_ecsv, text
from astro_common.errors import InputError

START = "# %ECSV 1.0\n# ---\n# delimiter: ','\n# datatype:\n"
COLUMNS = (
    "# - {name: source_id, datatype: int64}\n"
    "# - {name: x, datatype: float32}\n"
    "# - {name: v, datatype: string, subtype: 'float64[2]'}\n"
)
NAMES = "source_id,x,v\n"
ROW = '5,1.5,"[1, 2]"\n'
GOOD = START + COLUMNS + NAMES + ROW


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_the_good_file_is_good(tmp_path: Path) -> None:
    table = read_ecsv(write(tmp_path / "good.ecsv", GOOD))
    assert table.to_pydict() == {"source_id": [5], "x": [1.5], "v": [[1.0, 2.0]]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no line with the names of the columns"),
        ("\n", "no line with the names of the columns"),
        (START, "no list of columns under 'datatype'"),
        (START + COLUMNS, "no line with the names of the columns"),
        ("# %ECSV 1.0\n# ---\n# datatype: 5\na\n", "no list of columns under 'datatype'"),
        ("# %ECSV 1.0\n# ---\n# datatype: []\na\n", "no list of columns under 'datatype'"),
        ("# %ECSV 1.0\n# ---\n# [5, 6]\na\n", "no list of columns under 'datatype'"),
        ("# %ECSV 1.0\n# ---\n# a: [\na\n", "the header is not valid YAML"),
        ("# %ECSV 1.0\n# ---\n# a: 'b\na\n", "the header is not valid YAML"),
        ("# %ECSV 1.0\n# ---\n# a: " + "[" * 100_000 + "\na\n", "the header is not valid YAML"),
        ("# %ECSV 1.0\n# ---\n# " + "- " * 100_000 + "a\na\n", "the header is not valid YAML"),
        ("# %ECSV 1.0\n# ---\n# {[a]: b}\na\n", "the header is not valid YAML"),
        ("# %ECSV 1.0\n# ---\n# a: 2001-99-99\na\n", "the header is not valid YAML"),
        ("# %ECSV 1.0\n# ---\n# !!python/object/apply:os.system [ls]\na\n", "no list of columns"),
        ("# %ECSV 1.0\n# ---\n# a: !!bool maybe\na\n", "the header is not valid YAML"),
        ("# %ECSV 1.0\n# ---\n# a: !!timestamp soon\na\n", "the header is not valid YAML"),
        (f"# %ECSV 1.0\n# ---\n# a: {'9' * 5000}\na\n", "the header is not valid YAML"),
        (START + "# - 5\na\n", "column 5; expected a mapping with a name"),
        (START + "# - {datatype: int8}\na\n", "expected a mapping with a name"),
        (START + "# - {name: a}\na\n", "column 'a' of datatype None; expected one of bool, int8"),
        (START + "# - {name: a, datatype: [int8]}\na\n", r"datatype \['int8'\]"),
        (START + "# - {name: a, datatype: complex64}\na\n", "datatype 'complex64'"),
        (GOOD.replace("','", "';'"), "delimiter ';'; expected a comma or a blank"),
        (GOOD.replace("','", "[',']"), r"delimiter \[','\]"),
        (GOOD.replace(NAMES, "source_id,y,v\n"), "line 8 names 3 columns, 'y' where .* has 'x'"),
        (GOOD.replace(NAMES, "source_id,x\n"), "line 8 names 2 columns, not as many as the header"),
        (GOOD.replace(NAMES, "x,source_id,v\n"), "'x' where the header has 'source_id'"),
        (GOOD.replace(NAMES, 'source_id,"x,v\n'), "line 8: unexpected end of data"),
        ("a,a\n1,2\n", "line 1 has 'a' twice"),
        ("a,,b\n1,2,3\n", "line 1 has a column without a name"),
        (b"a\xff\n1\n", "line 1 is not UTF-8"),
        (b"# \xff\na\n", "line 1 is not UTF-8"),
        (b"a,b\n1,\xff\xfe\n", "column 'b'|line 2"),
        ("a,b\n1,2\n3\n", "line 3: Expected 2 columns, got 1"),
        ("a,b\n1,2\n3,4,5\n", "line 3: Expected 2 columns, got 3"),
        (GOOD + "5,1\n", "line 10: Expected 3 columns, got 2.*; expected 3 columns"),
        (GOOD + "x,1,\n", "line 10, column 'source_id': .*'x'; expected a value of type int64"),
        (GOOD + "5.5,1,\n", "line 10, column 'source_id'"),
        (GOOD + "99999999999999999999,1,\n", "line 10, column 'source_id'"),
        (GOOD + "5,fast,\n", "line 10, column 'x': .*'fast'; expected a value of type float"),
        (GOOD + '5,1,"[1, y]"\n', "line 10, column 'v': .*'y'.*; expected elements of type double"),
        (GOOD + '5,1,"1, 2"\n', "line 10, column 'v': '1, 2'; expected an array such as"),
        (GOOD + ROW + '5,1,"[1]"\n', "line 11, column 'v': 1 elements; expected 2, as the header"),
        (GOOD + '5,1,"[1, 2]\n', "quotation marks|Expected 3 columns"),
        ('a,b\n1,"x\n2,y\n3,z\n', "quotation mark|Expected 2 columns"),
    ],
)
def test_damage_is_named_with_its_place(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = write(tmp_path / "bad.ecsv", content)
    with pytest.raises(InputError, match=f"bad.ecsv: .*({message})") as caught:
        read_ecsv(path)
    assert caught.value.path == path
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize("link", ["[{}]", "{{<<: [{}]}}", "{{k: [{}]}}"])
@pytest.mark.parametrize("place", ["name", "unit", "datatype", "delimiter"])
def test_a_header_that_doubles_itself(tmp_path: Path, link: str, place: str) -> None:
    lines = ["# %ECSV 1.0", "# ---", "# x0: &x0 {k: v}"]
    for level in range(1, 40):
        many = ",".join([f"*x{level - 1}"] * 10)
        lines.append(f"# x{level}: &x{level} " + link.format(many))
    column = {"name": "a", "datatype": "int8", "unit": "m", "delimiter": "','"} | {place: "*x39"}
    lines.append(f"# delimiter: {column.pop('delimiter')}")
    lines.append("# datatype: [{" + ", ".join(f"{k}: {v}" for k, v in column.items()) + "}]")
    path = write(tmp_path / "laughs.ecsv", "\n".join([*lines, "a", "5", ""]))
    if place == "unit":
        assert read_ecsv(path).to_pydict() == {"a": [5]}
    else:
        with pytest.raises(InputError, match=r"laughs.ecsv: (column|delimiter)"):
            read_ecsv(path)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent.csv: no such file"):
        open_ecsv(tmp_path / "absent.csv")
    with pytest.raises(InputError, match="not a regular file"):
        open_ecsv(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        open_ecsv("with\0zero.csv")


def test_lines_without_an_end(tmp_path: Path) -> None:
    path = tmp_path / "endless.csv"
    with pytest.raises(InputError, match="a line of 1048576 bytes or more"):
        open_ecsv(write(path, b"a" * (2 << 20)))
    with pytest.raises(InputError, match="a header of more than 1048576 bytes"):
        open_ecsv(write(path, b"#" * (2 << 20)))
    with pytest.raises(InputError, match="a header of more than 1048576 bytes"):
        open_ecsv(write(path, b"# comment\n" * 200_000))
    write(path, GOOD + "5,1," + "1" * 300_000)
    with open_ecsv(path) as reader, pytest.raises(InputError, match="a line of more than 100000"):
        list(reader.batches(batch_bytes=100_000))
    with pytest.raises(InputError, match=f"a line of more than {header._SAMPLE_BYTES} bytes"):
        open_ecsv(write(path, b"a,b\n" + b"1" * (5 << 20)))


def test_cut_and_damaged_gzip(tmp_path: Path) -> None:
    path = tmp_path / "cut.csv.gz"
    rng = random.Random(1)
    rows = "".join(f'{rng.getrandbits(60)},{rng.random()},"[1, 2]"\n' for _ in range(30_000))
    whole = gzip.compress((START + COLUMNS + NAMES + rows).encode())
    assert read_ecsv(write(path, whole)).num_rows == 30_000
    for size in (3, 20, len(whole) // 2, len(whole) - 4):
        with pytest.raises(InputError, match=r"cut.csv.gz: the gzip stream is damaged \("):
            read_ecsv(write(path, whole[:size]))
    for place in (len(whole) // 2, len(whole) - 6):
        damaged = bytearray(whole)
        damaged[place] ^= 0x10
        with pytest.raises(InputError, match=r"cut.csv.gz: "):
            read_ecsv(write(path, damaged))


@pytest.mark.parametrize("filling", [b"\0", b"\n", b"1,2,\n", b"1"])
def test_gzip_bombs(tmp_path: Path, filling: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "_EXPANSION_SLACK_BYTES", 1 << 20)
    compressor = zlib.compressobj(9, wbits=31)
    parts = [compressor.compress((START + COLUMNS + NAMES).encode())]
    block = filling * ((1 << 20) // len(filling))
    parts += [compressor.compress(block) for _ in range(64)]
    path = write(tmp_path / "bomb.csv.gz", b"".join(parts) + compressor.flush())
    with open_ecsv(path) as reader, pytest.raises(InputError, match=r"bomb.csv.gz: "):
        for _ in reader.batches(batch_bytes=1 << 20):
            pass


MUTATIONS = 400


def test_hundreds_of_mutants(tmp_path: Path) -> None:
    rows = "".join(f'{i},{i / 7},"[{i}, null]"\n' for i in range(60))
    original = (START + COLUMNS + NAMES + rows).encode()
    path = tmp_path / "mutant.ecsv"
    outcomes = {"read": 0, "refused": 0}
    for number in range(MUTATIONS):
        rng = random.Random(number)
        content = bytearray(original)
        start = rng.randrange(len(content))
        kind = rng.randrange(5)
        if kind == 0:
            for _ in range(rng.choice([1, 3, 50])):
                content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del content[start:]
        elif kind == 2:
            del content[start : start + rng.choice([1, 10, 300])]
        elif kind == 3:
            content[start:start] = content[rng.randrange(len(content)) :][: rng.choice([1, 50])]
        else:
            content[start : start + 1] = rng.choice([b'"', b"\n", b"\0", b",", b"[", b"\xff", b"#"])
        compressed = rng.random() < 0.3
        write(path, gzip.compress(bytes(content)) if compressed else bytes(content))
        try:
            table = read_ecsv(path)
        except InputError as error:
            outcomes["refused"] += 1
            message = str(error)
        else:
            outcomes["read"] += 1
            message = str(path)
            table.validate(full=True)
        assert message.startswith(str(path))
        assert "\n" not in message
    assert min(outcomes.values()) > MUTATIONS / 10
