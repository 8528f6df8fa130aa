"""Reading CSV, TSV and JSON lines: line numbers, bad lines, compression, files that break off."""

from __future__ import annotations

import gzip
import json
import tracemalloc

import pytest
from file_doubles import rows_of
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.imports.rows import BadLine, Chunk, DamagedFile, FileFormat
from storage.files import text_rows
from storage.files.lines import MAX_LINE_CHARS


def read(name: str, content: bytes | str, *names: str, size: int = 1000) -> Chunk:
    """All rows of a file in one chunk."""
    joined = Chunk()
    for chunk in rows_of(name, content).chunks(names, size=size):
        joined.lines += chunk.lines
        joined.texts += chunk.texts
        joined.rows += chunk.rows
        joined.bad += chunk.bad
    return joined


def values(chunk: Chunk) -> list[list[object]]:
    return [list(row) for row in chunk.rows]


def test_columns_are_found_by_name_in_any_order() -> None:
    chunk = read("f.csv", "time,user,item\n1,ann,x\n2,bob,y\n", "user", "item", "time")
    assert values(chunk) == [["ann", "x", "1"], ["bob", "y", "2"]]
    assert chunk.lines == [2, 3]


def test_one_column_alone_can_be_read() -> None:
    assert values(read("f.csv", "user,item\nann,x\n", "item")) == [["x"]]


@pytest.mark.parametrize("name", ["f.tsv", "f.tab", "F.TSV", "folder.csv/f.tsv"])
def test_tsv_is_told_by_the_name_and_takes_quotes_as_they_are(name: str) -> None:
    assert values(read(name, 'user\titem\nann\t"Great" Cats\n', "user", "item")) == [["ann", '"Great" Cats']]


def test_csv_values_may_be_quoted() -> None:
    chunk = read("f.csv", 'user,item\n"Smith, Ann","say ""hi"""\n', "user", "item")
    assert values(chunk) == [["Smith, Ann", 'say "hi"']]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("last_end", [True, False])
def test_line_ends_of_any_system_are_read(line_end: str, last_end: bool) -> None:
    content = line_end.join(["user,item", "ann,x", "bob,y"]) + (line_end if last_end else "")
    assert values(read("f.csv", content, "user", "item")) == [["ann", "x"], ["bob", "y"]]


def test_a_byte_order_mark_is_no_part_of_the_first_name() -> None:
    assert rows_of("f.csv", b"\xef\xbb\xbfuser,item\n").columns == ("user", "item")


def test_empty_lines_are_passed_over_and_counted() -> None:
    chunk = read("f.csv", "user,item\n\nann,x\n   \nbob,y\n", "user", "item")
    assert (chunk.lines, chunk.bad) == ([3, 5], [])


def test_line_with_a_wrong_number_of_values_is_bad() -> None:
    chunk = read("f.csv", "user,item\nann\nbob,y\ncid,z,extra\n", "user", "item")
    assert values(chunk) == [["bob", "y"]]
    assert chunk.bad == [
        BadLine(2, "has 1 values where the header names 2 columns", b"ann"),
        BadLine(4, "has 3 values where the header names 2 columns", b"cid,z,extra"),
    ]


@pytest.mark.parametrize("num_lines", [1, 20_000])
def test_stray_quote_affects_only_its_own_line(num_lines: int) -> None:
    content = "user,item\n" + 'ann,"x\n' + "".join(f"user{n:06},item{n:06}\n" for n in range(num_lines))
    chunk = read("f.csv", content, "user", "item", size=100_000)
    assert chunk.lines == list(range(3, num_lines + 3))
    assert chunk.bad == [BadLine(2, "a quote is opened and not closed; close or remove it", b'ann,"x')]


def test_quoted_values_may_go_over_several_lines() -> None:
    chunk = read("f.csv", 'id,text\n1,"two\nlines"\n2,one\n', "id", "text")
    assert values(chunk) == [["1", "two\nlines"], ["2", "one"]]
    assert chunk.lines == [2, 4]


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_the_size_of_chunks_changes_nothing(size: int) -> None:
    content = 'user,item\nann,x\nbad\n"bob",y\ncid,"z\ndan,w\n'
    assert read("f.csv", content, "user", "item", size=size) == read("f.csv", content, "user", "item")


lines_of_files = st.lists(st.sampled_from(["a,b", '"a,x",b', "a", "", 'a",b', '"a', "\u00e9,b"]), max_size=12)


@given(lines_of_files, st.integers(1, 4))
def test_lines_that_are_split_together_are_read_as_one_by_one(texts: list[str], num: int) -> None:
    content = "user,item\n" + "".join(f"{text}\n" for text in texts)
    chunks = []
    for piece_lines in (num, 1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(text_rows, "PIECE_LINES", piece_lines)
            chunks.append(read("f.csv", content, "user", "item", size=5))
    assert chunks[0] == chunks[1]
    taken = [line for text in chunks[0].texts for line in text.splitlines()]
    taken += [bad.raw.decode() for bad in chunks[0].bad]
    assert sorted(filter(None, taken)) == sorted(filter(None, texts))


def test_a_missing_column_is_named_with_those_the_file_has() -> None:
    with pytest.raises(InvalidInput, match=r"f\.csv has no column 'user'; its columns are 'uid', 'item'"):
        list(rows_of("f.csv", "uid,item\n1,2\n").chunks(["user"], size=10))


def test_an_ambiguous_column_is_refused() -> None:
    with pytest.raises(InvalidInput, match="has more than one column 'user'"):
        list(rows_of("f.csv", "user,user\n1,2\n").chunks(["user"], size=10))


@pytest.mark.parametrize("content", [b"", b"\n", b"\xef\xbb\xbf"])
def test_a_file_without_a_header_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidInput, match="wanted a first line with the names of the columns"):
        rows_of("f.csv", content)


def test_a_file_that_is_all_one_quote_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no header"):
        rows_of("f.csv", '"' + "x" * 200_000)


def test_json_lines_give_the_requested_values_or_none() -> None:
    lines = [{"user": 7, "item": "x", "more": [1]}, {"item": "y", "user": "ann"}]
    source = rows_of("f.jsonl", "\n".join(map(json.dumps, lines)))
    (chunk,) = source.chunks(["user", "item"], optional=["value"], size=10)
    assert values(chunk) == [[7, "x", None], ["ann", "y", None]]
    assert source.columns == ("user", "item", "more")


def test_lines_that_are_no_json_objects_are_bad() -> None:
    content = b'{"user": 1}\n[1]\n{"user": NaN}\n{"user"\n' + b"[" * 100_000 + b'\n\n{"user": 2}\n'
    chunk = read("f.jsonl", content, "user")
    assert values(chunk) == [[1], [2]]
    assert [bad.line for bad in chunk.bad] == [2, 3, 4, 5]
    assert chunk.bad[0].reason == "wanted a JSON object, got [1]"
    assert chunk.bad[1].reason == "NaN is no JSON; leave the value out"


def test_the_first_json_object_says_which_keys_there_are() -> None:
    with pytest.raises(InvalidInput, match="has no column 'user'; its columns are 'uid'"):
        list(rows_of("f.jsonl", 'nonsense\n{"uid": 1}\n').chunks(["user"], size=10))


def test_a_file_without_any_json_object_is_refused() -> None:
    with pytest.raises(InvalidInput, match="wanted one JSON object per line, found none"):
        rows_of("f.jsonl", "a\nb\n")


@pytest.mark.parametrize(("name", "good"), [("f.csv", b"a\n"), ("f.tsv", b"a\n"), ("f.jsonl", b'{"a": 1}\n')])
def test_bytes_that_are_no_utf_8_make_a_bad_line_kept_as_it_stands(name: str, good: bytes) -> None:
    chunk = read(name, good + b"caf\xe9\n", "a")
    assert chunk.bad == [
        BadLine(2, "is no UTF-8; name the encoding of the file (--encoding latin-1, or cp1252)", b"caf\xe9")
    ]


def test_a_line_without_an_end_is_cut_and_does_not_fill_the_memory() -> None:
    content = b"user,item\n" + b"x" * (5 * MAX_LINE_CHARS) + b"\nann,y\n"
    chunk = read("f.csv", content, "user", "item")
    assert values(chunk) == [["ann", "y"]]
    assert len(chunk.bad[0].raw) < 2 * MAX_LINE_CHARS


@pytest.mark.parametrize("header", ["user;item;price", "user|item|price", "user::item::price", "user\titem\tprice"])
def test_the_delimiter_is_found_in_the_header(header: str) -> None:
    row = header.replace("user", "ann").replace("item", "x").replace("price", "1,5")
    assert values(read("f.csv", f"{header}\n{row}\n", "user", "item", "price")) == [["ann", "x", "1,5"]]


def test_a_line_with_sep_names_the_delimiter() -> None:
    chunk = read("f.csv", 'sep=;\nuser;item, all\nann;"x;y"\n', "user", "item, all")
    assert (values(chunk), chunk.lines) == ([["ann", "x;y"]], [3])


def test_a_delimiter_given_overrides_the_header() -> None:
    source = rows_of("f.csv", "a,b~c\n1,2~3\n", FileFormat(delimiter="~"))
    assert source.columns == ("a,b", "c")


def test_a_missing_column_of_an_unsplit_header_names_the_option() -> None:
    with pytest.raises(InvalidInput, match=r"split at ',' \(--delimiter names another\)"):
        list(rows_of("f.csv", "user~item\nann~x\n").chunks(["user"], size=10))


def test_without_a_header_columns_are_numbered() -> None:
    source = rows_of("ratings.dat", "1::1193::5::978300760\n", FileFormat(has_header=False))
    (chunk,) = source.chunks(["1", "4"], size=10)
    assert (values(chunk), chunk.lines) == ([["1", "978300760"]], [1])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_unicode_encodings_are_detected(encoding: str) -> None:
    assert values(read("f.csv", "user,item\nannä,☕\n".encode(encoding), "user", "item")) == [["annä", "☕"]]


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_other_encodings_are_read_when_named(encoding: str) -> None:
    source = rows_of("f.csv", "user,item\nann,café\n".encode(encoding), FileFormat(encoding=encoding))
    (chunk,) = source.chunks(["item"], size=10)
    assert (values(chunk), encoding in source.description) == ([["café"]], True)


def test_an_unknown_encoding_is_an_error() -> None:
    with pytest.raises(InvalidInput, match="--encoding: unknown encoding 'latin-99'"):
        rows_of("f.csv", b"a\n", FileFormat(encoding="latin-99"))


def test_nested_values_are_read_by_their_path() -> None:
    lines = [{"user": {"id": 7}, "item.id": "x"}, {"user": {}, "item.id": "y"}]
    chunk = read("f.jsonl", "\n".join(map(json.dumps, lines)), "user.id", "item.id")
    assert values(chunk) == [[7, "x"], [None, "y"]]


def table(num_rows: int) -> bytes:
    return b"user,item\n" + b"".join(b"user%d,item%d\n" % (n * 7919, n * 104729) for n in range(num_rows))


def test_gzip_is_told_by_its_bytes_not_by_the_name() -> None:
    packed = gzip.compress(table(1000))
    for name in ("f.csv.gz", "f.csv"):
        assert read(name, packed, "user", "item") == read("f.csv", table(1000), "user", "item")


def test_gzip_files_in_several_parts_and_with_padding_are_read_to_the_end() -> None:
    data = table(1000)
    packed = gzip.compress(data[:5000]) + gzip.compress(data[5000:]) + b"\0" * 512
    assert len(read("f.csv.gz", packed, "user", "item").rows) == 1000


def test_what_was_read_is_counted_in_bytes_of_the_file() -> None:
    packed = gzip.compress(table(100_000))
    source = rows_of("f.csv.gz", packed)
    list(source.chunks(["user"], size=1000))
    assert source.bytes_read == len(packed)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.95])
def test_truncated_gzip_yields_complete_lines_then_names_the_last_one(share: float) -> None:
    packed = gzip.compress(table(20_000))
    chunks: list[Chunk] = []
    read_all = rows_of("f.csv.gz", packed[: int(len(packed) * share)]).chunks(["user", "item"], size=1000)
    with pytest.raises(DamagedFile, match=r"truncated after line (\d+); get the whole file") as error:
        chunks.extend(read_all)
    rows = [row for chunk in chunks for row in chunk.rows]
    assert f"after line {len(rows) + 1};" in str(error.value)
    assert rows == list(read("f.csv", table(20_000), "user", "item", size=10**6).rows)[: len(rows)]
    assert len(rows) > 20_000 * share * 0.5


def test_a_damaged_gzip_is_named_as_such() -> None:
    packed = bytearray(gzip.compress(table(20_000)))
    packed[len(packed) // 2 : len(packed) // 2 + 64] = bytes(64)
    with pytest.raises(DamagedFile, match=r"damaged|truncated"):
        read("f.csv.gz", bytes(packed), "user", "item")


def test_a_gzip_that_breaks_off_in_its_header_is_named_as_such() -> None:
    with pytest.raises(DamagedFile, match="truncated after line 0"):
        rows_of("f.csv.gz", gzip.compress(table(10))[:12])


def test_a_file_that_unpacks_to_one_endless_line_is_read_in_little_memory() -> None:
    num_bytes = 64 << 20
    packed = gzip.compress(b"user,item\nann,x\n" + b"x" * num_bytes, 1)
    assert len(packed) < num_bytes / 100
    tracemalloc.start()
    chunk = read("f.csv.gz", packed, "user", "item")
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert values(chunk) == [["ann", "x"]]
    assert len(chunk.bad) == 1
    assert peak_bytes < num_bytes / 4


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), max_size=20))
def test_whatever_json_holds_comes_back(rows: list[tuple[str, str]]) -> None:
    first = {"user": "first", "item": "first"}
    lines = [first, *({"user": user, "item": item} for user, item in rows)]
    chunk = read("f.jsonl", "\n".join(map(json.dumps, lines)), "user", "item")
    assert values(chunk)[1:] == [list(row) for row in rows]


@given(st.binary(max_size=300))
def test_any_bytes_after_good_rows_leave_them_good(content: bytes) -> None:
    for name in ("f.csv", "f.tsv"):
        good = b"user,item\nann,x\n" if name == "f.csv" else b"user\titem\nann\tx\n"
        chunk = read(name, good + content, "user", "item")
        assert values(chunk)[0] == ["ann", "x"]
        lines = [*chunk.lines, *(bad.line for bad in chunk.bad)]
        assert len(lines) == len(set(lines))
