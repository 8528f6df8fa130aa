"""The command line: output, exit status and effect on the database."""

import errno
import gzip
import json
import os
import socket
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from core.events.interactions import Interaction
from storage.files import open_rows
from tidewise import __version__
from tidewise.cli import main
from tidewise.commands.operation.doctor import FIRST_STEPS
from tidewise.live_traffic import ReplayReport

HEADER = "user_id,item_id,time\n"
DAY_MS = 86_400_000
NOON_MS = 1_700_000_000_000


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Outcome]


@pytest.fixture
def tidewise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `tidewise ARGUMENTS --data (a fresh folder)` in this process."""

    def run(command: str, *arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["tidewise", command, *arguments, "--data", str(tmp_path / "data")])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(bool(end.code))
        captured = capsys.readouterr()
        return Outcome(code, captured.out, " ".join(captured.err.split()))

    return run


@pytest.fixture
def events(tmp_path: Path) -> Callable[[str], str]:
    """Writes a file of events and returns its path."""

    def write(text: str, name: str = "events.csv") -> str:
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


def rows(*times_ms: int) -> str:
    return HEADER + "".join(f"ann,item-{number},{time_ms}\n" for number, time_ms in enumerate(times_ms))


def test_importing_a_file_twice_counts_every_event_once(tidewise: Command, events: Callable[[str], str]) -> None:
    path = events(rows(NOON_MS, NOON_MS + DAY_MS))
    first = json.loads(tidewise("import", "--events", path, "--json").out)["events"]
    second = json.loads(tidewise("import", "--events", path, "--json").out)["events"]
    assert (first["num_accepted"], first["num_duplicates"]) == (2, 0)
    assert (second["num_accepted"], second["num_duplicates"]) == (0, 2)


def test_import_before_a_time_skips_later_events(tidewise: Command, events: Callable[[str], str]) -> None:
    path = events(rows(NOON_MS, NOON_MS + DAY_MS))
    early = tidewise("import", "--events", path, "--before", str(NOON_MS + DAY_MS), "--json")
    assert json.loads(early.out)["events"]["num_accepted"] == 1
    rest = json.loads(tidewise("import", "--events", path, "--json").out)["events"]
    assert (rest["num_accepted"], rest["num_duplicates"]) == (1, 1)


def test_an_import_says_what_was_new_changed_and_left_out(tidewise: Command, events: Callable[[str], str]) -> None:
    items = ("--items", events("item_id,title\na,Tea\nb,Pot\n", "items.csv"))
    assert "2 new, 0 changed, 0 duplicates" in tidewise("import", *items).out
    events("item_id,title\na,Tea\nb,Jug\n", "items.csv")
    path = events(rows(NOON_MS, NOON_MS + DAY_MS))
    text = tidewise("import", *items, "--events", path, "--before", str(NOON_MS + DAY_MS)).out
    assert "0 new, 1 changed, 1 duplicates" in text
    assert "1 new, 0 duplicates, 0 bad, 1 not before --before" in text


def test_a_bad_line_is_reported_and_the_rest_imported(tidewise: Command, events: Callable[[str], str]) -> None:
    outcome = tidewise("import", "--events", events(rows(NOON_MS) + "bob,,17\n"))
    assert outcome.code == 0
    assert "1 new" in outcome.out
    assert "1 bad" in outcome.out
    assert "line 3: item: wanted 1 to 256 bytes" in outcome.out


def test_times_in_a_wrong_unit_are_errors_that_name_time_unit(tidewise: Command, events: Callable[[str], str]) -> None:
    outcome = tidewise("import", "--events", events(rows(1_700_000_000)), "--time-unit", "ms")
    assert outcome.code == 2
    assert "nothing was stored; line 2" in outcome.err
    assert "--time-unit s" in outcome.err


def test_several_files_of_any_kind_are_imported_at_once(tidewise: Command, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.csv", "b.txt", "c.jsonl", "d.parquet")]
    paths[0].write_text("user_id, item_id, time\nu1, i1, 1700000000\n")
    paths[1].write_bytes("sep=;\nuser_id;item_id;time\nu1;i2;2023-11-14 22:13:21\n".encode("utf-16"))
    paths[2].write_text('{"user_id": "u1", "item_id": "i3", "time": "2023-11-14T23:13:22+01:00"}\n')
    duckdb.execute(f"COPY (SELECT 'u1' user_id, 'i4' item_id, 1700000003::BIGINT AS time) TO '{paths[3]}'")
    options = [word for path in paths for word in ("--events", str(path))]
    assert tidewise("import", *options).code == 0
    assert tidewise("recommend", "u1", "--set", "items.catalogue=none").code == 0
    reports = json.loads(tidewise("import", *options, "--json").out)["events"]
    assert [report["num_duplicates"] for report in reports.values()] == [1, 1, 1, 1]


def test_a_dry_run_shows_what_is_detected_and_stores_nothing(
    tidewise: Command, events: Callable[[str], str], tmp_path: Path
) -> None:
    path = events("user_id;item_id;time\n" + "ann; i1;2022-06-24 21:20:11\n" * 12 + "bob;i2;never\nbob;i3;2022-06-24\n")
    items = events("item_id,title\ni1,Tea\n", "items.csv")
    lines = tidewise("import", "--events", path, "--items", items, "--dry-run").out.splitlines()
    assert (
        "events.csv: text with the delimiter ';', utf-8; columns user_id, item_id, time; numeric times in ms" in lines
    )
    assert sum("2022-06-24 21:20:11" in line for line in lines) == 10
    assert "13 events, 1 bad" in lines
    assert any(line.startswith("  line 14: time: wanted a number or a time as") for line in lines)
    assert lines[-2] == ("1 of 2 items of the events are not in the catalogue, such as i3; they are not recommended")
    assert lines[-1] == "Dry run: nothing was stored."
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("header", "remedy"),
    [
        ("timestamp,visitorid,event,itemid,transactionid", "use --preset retailrocket"),
        ("user;item;time", "name them: --columns USER,ITEM,TIME"),
    ],
)
def test_unknown_names_of_columns_are_told_with_a_remedy(
    tidewise: Command, events: Callable[[str], str], header: str, remedy: str
) -> None:
    outcome = tidewise("import", "--events", events(f"{header}\n"))
    assert outcome.code == 2
    assert outcome.err.endswith(remedy)


def test_a_preset_reads_the_files_of_movielens(tidewise: Command, tmp_path: Path) -> None:
    (tmp_path / "ratings.dat").write_text("1::1193::5::978300760\n2::1193::3::978300761\n")
    (tmp_path / "movies.dat").write_bytes("1193::Amélie::Comedy|Romance\n".encode("latin-1"))
    files = ("--events", str(tmp_path / "ratings.dat"), "--items", str(tmp_path / "movies.dat"))
    assert tidewise("import", "--preset", "movielens", *files).code == 0
    answer = json.loads(tidewise("recommend", "3", "--json").out)
    assert answer["items"][0]["title"] == "Amélie"


def test_a_file_of_bad_rows_exits_with_2_and_stores_nothing(
    tidewise: Command, events: Callable[[str], str], tmp_path: Path
) -> None:
    path = events(HEADER + "ann,x,the 24th of June\n" * 3000)
    outcome = tidewise("import", "--events", path)
    assert outcome.code == 2
    assert "3,000 of the first 3,000 rows are bad; nothing was stored; line 2: time: wanted a number or a time as" in (
        outcome.err
    )
    assert json.loads(tidewise("dead-letters", "list", "--json").out)["total"] == 0


def test_the_json_report_has_bad_lines_as_text(tidewise: Command, events: Callable[[str], str]) -> None:
    report = json.loads(tidewise("import", "--events", events(rows(NOON_MS) + "café,,17\n"), "--json").out)
    assert report["events"]["bad_lines"][0]["raw"] == "café,,17"


@pytest.mark.parametrize("ending", ["parquet", "jsonl.gz"])
def test_an_export_can_be_imported(
    tidewise: Command, events: Callable[[str], str], tmp_path: Path, ending: str
) -> None:
    items = events('{"item_id": "item-0", "title": "Tea", "categories": ["x", "y"], "year": 1995}\n', "items.jsonl")
    columns = "item_id=item_id,title=title,categories=categories"
    tidewise("import", "--items", items, "--item-columns", columns, "--attributes", "year")
    tidewise("import", "--events", events(rows(NOON_MS, NOON_MS + 1)))
    written = {kind: tmp_path / f"{kind}.{ending}" for kind in ("events", "items", "users", "outcomes")}
    options = [word for kind, path in written.items() for word in (f"--{kind}", str(path))]
    counts = json.loads(tidewise("export", *options, "--json").out)
    assert counts == {"events": 2, "items": 1, "users": 1, "outcomes": 0}
    with open_rows(written["users"]) as reader:
        assert [list(row) for chunk in reader.chunks(["user_id", "items"], size=9) for row in chunk.rows] == [
            ["ann", ["item-0", "item-1"]]
        ]
    other = ("--set", f"database.url=sqlite:///{tmp_path / 'other.db'}")
    files = ("--events", str(written["events"]), "--items", str(written["items"]))
    names = ("--columns", "user_id,item_id,time,type,value", "--item-columns", columns)
    assert json.loads(tidewise("import", *files, *names, "--json", *other).out)["events"]["num_accepted"] == 2
    assert json.loads(tidewise("recommend", "bob", "--json", *other).out)["items"][0]["categories"] == ["x", "y"]


def test_outcomes_are_printed_for_people_and_programs(tidewise: Command, events: Callable[[str], str]) -> None:
    tidewise("import", "--events", events(rows(NOON_MS)))
    document = json.loads(tidewise("outcomes", "--by", "day", "--since", "2026-01-01", "--json").out)
    assert (document["by"], document["total"]["answers"], document["rows"]) == ("day", 0, [])
    per_user = tidewise("outcomes", "--per", "user").out
    assert "CTR (95%)" in per_user
    assert "per user (95%)" in per_user
    assert "by: wanted one of scenario, arm" in tidewise("outcomes", "--by", "colour").err


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_lists_of_all_users_are_written_by_processes(
    tidewise: Command, events: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.setattr("tidewise.processes.user_lists.SMALL", 0)
    written = tmp_path / f"lists.{ending}"
    tidewise("import", "--items", events("item_id,title\nitem-0,Tea\nnew,Jam\n", "items.csv"))
    tidewise("import", "--events", events(rows(NOON_MS, NOON_MS + 1)))
    assert tidewise("recommend", "--all", "--out", str(written), "--processes", "2").code == 0
    alone = json.loads(tidewise("recommend", "ann", "--json").out)["items"]
    with open_rows(written) as reader:
        lists = [list(row) for chunk in reader.chunks(["user_id", "items", "source"], size=9) for row in chunk.rows]
    assert lists == [["ann", [item["item_id"] for item in alone], "popularity"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ann", "--n", "501"], "n: wanted 1 to 500, got 501"),
        (["ann", "--n", "4", "--set", "recommend.max_n=3"], "n: wanted 1 to 3, got 4"),
        (["ann", "--category", ""], "category: wanted 1 to 256 bytes"),
        ([""], "user: wanted 1 to 256 bytes"),
    ],
)
def test_recommend_checks_what_it_is_asked_as_the_api_does(
    tidewise: Command, events: Callable[[str], str], arguments: list[str], message: str
) -> None:
    tidewise("import", "--events", events(rows(NOON_MS)))
    outcome = tidewise("recommend", *arguments)
    assert outcome.code == 2
    assert message in outcome.err


@pytest.mark.parametrize("arguments", [[], ["--all"], ["ann", "--all", "--out", "x.jsonl"], ["--out", "x.jsonl"]])
def test_recommend_wants_a_user_or_all_with_a_file(tidewise: Command, arguments: list[str]) -> None:
    outcome = tidewise("recommend", *arguments)
    assert outcome.code == 2
    assert "recommend: wanted" in outcome.err


def test_unknown_columns_are_errors_that_list_the_known(tidewise: Command, events: Callable[[str], str]) -> None:
    outcome = tidewise("import", "--events", events(rows(NOON_MS)), "--columns", "user_id,sku,time")
    assert outcome.code == 2
    assert "no column 'sku'" in outcome.err
    assert "'user_id', 'item_id', 'time'" in outcome.err


def test_a_truncated_gzip_is_imported_up_to_the_damage(tidewise: Command, tmp_path: Path) -> None:
    whole = gzip.compress(rows(*range(NOON_MS, NOON_MS + 50_000)).encode())
    path = tmp_path / "events.csv.gz"
    path.write_bytes(whole[: len(whole) // 2])
    outcome = tidewise("import", "--events", str(path))
    assert outcome.code == 2
    assert "line" in outcome.err
    assert "duplicates" in outcome.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "wanted --events FILE, --items FILE or --users FILE"),
        (["--events", "nowhere.csv"], "nowhere.csv: cannot be read"),
        (["--events", "nowhere.csv", "--columns", "a,b"], "--columns: wanted USER,ITEM,TIME"),
        (["--items", "nowhere.csv", "--item-columns", "sku"], "--item-columns: wanted FIELD=COLUMN"),
        (["--events", "nowhere.csv", "--set", "window.size=none"], "window.size"),
        (["--events", "nowhere.csv", "--set", "windows.size=5"], "windows"),
        (["--events", "nowhere.csv", "--set", "size=5"], "wanted SECTION.NAME=VALUE"),
        (
            ["--events", "nowhere.csv", "--columns", "a,b,c", "--time-unit", "h"],
            "--time-unit: wanted one of s, ms, us, ns",
        ),
    ],
)
def test_invalid_input_exits_with_2_and_advice(tidewise: Command, arguments: list[str], message: str) -> None:
    outcome = tidewise("import", *arguments)
    assert outcome.code == 2
    assert message in outcome.err


READING = [
    ("recommend", "ann"),
    ("interests", "ann"),
    ("train",),
    ("learn", "--once"),
    ("learn", "--now"),
    ("drift",),
    ("models", "list"),
    ("models", "rollback"),
    ("dead-letters", "list"),
    ("dead-letters", "retry", "--all"),
    ("offsets", "show"),
    ("rebuild",),
]


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_a_mistyped_data_folder_never_makes_a_database(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    typo = tmp_path / "typo"
    monkeypatch.setattr(sys, "argv", ["tidewise", *words, "--data", str(typo)])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert f"no such database: there is none in {typo}; check --data" in " ".join(capsys.readouterr().err.split())
    assert not typo.exists()


def test_a_missing_sqlite_file_of_database_url_is_not_made(tidewise: Command, tmp_path: Path) -> None:
    path = tmp_path / "typo.db"
    outcome = tidewise("recommend", "ann", "--set", f"database.url=sqlite:///{path}")
    assert (outcome.code, path.exists()) == (2, False)


def test_the_clock_mode_is_read_from_the_database(tidewise: Command, events: Callable[[str], str]) -> None:
    path = events(rows(NOON_MS))
    tidewise("import", "--events", path, "--set", "clock.mode=stream")
    assert "clock stream" in tidewise("doctor").out
    assert tidewise("recommend", "ann").code == 0
    outcome = tidewise("recommend", "ann", "--set", "clock.mode=wall")
    assert outcome.code == 1
    assert "made with stream, the settings say wall; leave the setting out" in outcome.err


def test_events_without_a_catalogue_are_warned_about(tidewise: Command, events: Callable[[str], str]) -> None:
    imported = tidewise("import", "--events", events(rows(NOON_MS)))
    assert imported.code == 0
    for outcome in (imported, tidewise("recommend", "bob")):
        assert "warning: catalogue: empty, so nothing can be recommended; 1 items are known from events" in outcome.err
        assert "`tidewise import --items FILE`, or `--set items.catalogue=none`" in outcome.err


def test_events_of_uncatalogued_items_are_reported(tidewise: Command, events: Callable[[str], str]) -> None:
    items = events("item_id,title\nitem-0,A\n", "items.csv")
    outcome = tidewise("import", "--events", events(rows(NOON_MS, NOON_MS)), "--items", items)
    assert "1 items of events are not in it and are not recommended, such as item-1" in outcome.err


def test_what_is_missing_in_a_file_is_told_with_the_option_to_use(
    tidewise: Command, events: Callable[[str], str]
) -> None:
    values = events("ann,tent,1700000000\nbob,rope,1700000060\n", "values.csv")
    named = events("id,country\nann,de\n", "named.csv")
    semicolons = events("user_id;item_id;time\nann;tent;1700000000\n", "semicolons.csv")
    errors = {
        ("--events", semicolons, "--delimiter", ","): "split at ',' (--delimiter names another)",
        ("--events", values): "the file has no header: --no-header --columns 1,2,3",
        ("--users", named): "has no column 'user_id'; its columns are 'id', 'country'; name it: --user-id COLUMN",
        ("--items", named): "name it: --item-columns item_id=COLUMN,title=COLUMN",
        ("--items", named, "--item-columns", "item_id=id,title=name"): "name it: --item-columns item_id=COLUMN",
        ("--items", named, "--item-columns", "item_id=id", "--attributes", "age"): "name it: --attributes COLUMN,...",
        ("--users", named, "--user-id", "id", "--user-attributes", "age"): "name it: --user-attributes COLUMN,...",
        ("--events", named, "--columns", "id,country,when"): "no column 'when'; its columns are 'id', 'country'; name",
        (
            "--events",
            named,
            "--columns",
            "id,id,id,type",
        ): "no column 'type'; its columns are 'id', 'country'; name",
    }
    for arguments, message in errors.items():
        outcome = tidewise("import", *arguments)
        assert outcome.code == 2
        assert message in outcome.err
    assert "no such database" in tidewise("doctor").out, "a mistake made one"


def test_users_are_imported_and_exported(tidewise: Command, events: Callable[[str], str], tmp_path: Path) -> None:
    users = events("id,country,plan\nann,de,premium\nbob,fr,\n", "users.csv")
    outcome = tidewise("import", "--users", users, "--user-id", "id")
    assert "users: 2 rows" in outcome.out
    out = tmp_path / "users.jsonl"
    assert tidewise("export", "--users", str(out)).code == 0
    stored = {record["user_id"]: record["attributes"] for record in map(json.loads, out.read_text().splitlines())}
    assert stored == {"ann": {"country": "de", "plan": "premium"}, "bob": {"country": "fr"}}


def test_doctor_says_what_to_do_next(tidewise: Command, events: Callable[[str], str]) -> None:
    outcome = tidewise("doctor")
    assert (outcome.code, outcome.out.splitlines()[-1]) == (1, f"Next: {FIRST_STEPS}")
    tidewise("import", "--events", events(rows(NOON_MS) + "bad\n"))
    outcome = tidewise("doctor", "--url", "http://127.0.0.1:9")
    assert outcome.code == 1
    assert outcome.out.splitlines()[-1].startswith("Next: `tidewise import --items FILE`")
    assert "  dead letters: 1 rows or messages could not be read" in outcome.out
    tidewise("import", "--items", events("item_id,title\nitem-0,A\n", "items.csv"))
    outcome = tidewise("doctor", "--url", "http://127.0.0.1:9", "--json")
    found = {finding["part"]: finding for finding in json.loads(outcome.out)}
    assert (outcome.code, found["server"]["command"]) == (0, "`tidewise up`")
    assert found["events"]["text"].startswith("1 by 1 users, the newest of 2023-11-14 22:13 UTC; for an old log")


@pytest.mark.parametrize(
    ("option", "step"),
    [
        ("window.size=70", "`tidewise rebuild`"),
        ("clock.mode=stream", "mend what the line of database says, then run `tidewise doctor` again"),
    ],
)
def test_doctor_ends_with_what_mends_the_first_problem(tidewise: Command, option: str, step: str) -> None:
    tidewise("migrate")
    outcome = tidewise("doctor", "--set", option, "--url", "http://127.0.0.1:9")
    assert (outcome.code, outcome.out.splitlines()[-1]) == (1, f"Next: {step}")


def test_a_full_disk_ends_any_command_with_a_message(tidewise: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "models/1")

    monkeypatch.setattr("tidewise.commands.operation.show.open_system", fail)
    outcome = tidewise("migrate")
    assert (outcome.code, outcome.err) == (
        1,
        "error: models/1: no space left on device; free space on that disk, then run the command again",
    )


def test_the_version_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["tidewise", "--version"])
    with pytest.raises(SystemExit, match="0"):
        main()
    assert capsys.readouterr().out == f"tidewise {__version__}\n"


def test_a_demo_is_refused_on_the_port_of_a_running_server(tidewise: Command) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        outcome = tidewise("demo", "--port", str(port))
    assert outcome.code == 2
    assert f"--port: {port} is in use, and the demo never posts into a running server" in outcome.err


def test_training_without_events_is_an_error(tidewise: Command, events: Callable[[str], str]) -> None:
    tidewise("import", "--items", events("item_id,title\ntea,Tea\n"))
    outcome = tidewise("train")
    assert outcome.code == 1
    assert "wanted at least 100 events to train on, got 0; import more first" in outcome.err


def test_interests_are_printed_as_table_and_as_json(
    tidewise: Command, events: Callable[[str], str], tmp_path: Path
) -> None:
    days = [NOON_MS + day * DAY_MS for day in range(30)]
    lines = "".join(f"ann,{'tea' if day < 20 else 'wok'},{time_ms}\n" for day, time_ms in enumerate(days))
    catalogue = tmp_path / "items.csv"
    catalogue.write_text("item_id,title,categories\ntea,Tea,Drinks\nwok,Wok,Cooking\n")
    imported = tidewise(
        "import",
        "--events",
        events(HEADER + lines),
        "--time-unit",
        "ms",
        "--items",
        str(catalogue),
        "--item-columns",
        "item_id=item_id,title=title,categories=categories",
    )
    assert imported.code == 0, imported.err
    report = json.loads(tidewise("interests", "ann", "--json").out)
    explanation = "from Drinks to Cooking since 4 December; 10 of the last 10 events"
    assert report["drift"]["explanation"] == explanation
    shown = " ".join(tidewise("interests", "ann").out.split())
    assert explanation in shown
    assert "Cooking │ 66% │ 36%" in shown
    assert tidewise("interests", "nobody").code == 2


def test_an_unknown_user_gets_popular_items(tidewise: Command, events: Callable[[str], str], tmp_path: Path) -> None:
    items = tmp_path / "items.csv"
    items.write_text("item_id,title\nitem-0,First thing\nitem-1,Second thing\n")
    tidewise("import", "--events", events(rows(NOON_MS, NOON_MS)), "--items", str(items))
    answer = json.loads(tidewise("recommend", "stranger", "--json").out)
    assert {item["item_id"] for item in answer["items"]} == {"item-0", "item-1"}
    assert (answer["source"], answer["reason"]) == ("popularity", "the user is unknown")


def test_another_window_requires_a_rebuild(tidewise: Command, events: Callable[[str], str]) -> None:
    tidewise("import", "--events", events(rows(NOON_MS, NOON_MS + 1)))
    refused = tidewise("recommend", "ann", "--set", "window.size=20")
    assert refused.code == 1
    assert "made with 50/10, the settings say 20/10; run `tidewise rebuild`" in refused.err
    rebuilt = tidewise("rebuild", "--set", "window.size=20", "--json")
    assert json.loads(rebuilt.out) == {"events": 2}
    assert tidewise("recommend", "ann", "--set", "window.size=20").code == 0


def test_the_clock_of_a_database_is_fixed(tidewise: Command, events: Callable[[str], str]) -> None:
    tidewise("import", "--events", events(rows(NOON_MS)))
    refused = tidewise("recommend", "ann", "--set", "clock.mode=stream")
    assert refused.code == 1
    assert "clock.mode: the database was made with wall" in refused.err


def test_a_used_event_type_cannot_be_removed(tidewise: Command, events: Callable[[str], str], tmp_path: Path) -> None:
    config = tmp_path / "types.toml"
    config.write_text("[events.types.wish]\nweight = 2.0\n")
    tidewise("import", "--events", events(rows(NOON_MS)), "--config", str(config))
    refused = tidewise("rebuild")
    assert refused.code == 1
    assert "wish; keep these, in this order" in refused.err


def test_settings_are_shown_with_their_origin(tidewise: Command) -> None:
    outcome = tidewise("settings", "--set", "server.port=9")
    assert "  port = 9  # command line\n" in outcome.out
    assert "  host = '127.0.0.1'\n" in outcome.out


def test_settings_are_shown_with_secrets_masked(tidewise: Command) -> None:
    outcome = tidewise("settings", "--json", "--set", "server.api_key=abcdefghijklmnopqrstuvwxyz")
    assert json.loads(outcome.out)["server"]["api_key"] == "**********"


def test_migrate_prepares_a_database(tidewise: Command, tmp_path: Path) -> None:
    assert tidewise("migrate").code == 0
    assert (tmp_path / "data" / "tidewise.db").exists()


def test_replay_without_a_server_is_an_error(tidewise: Command, events: Callable[[str], str]) -> None:
    outcome = tidewise("replay", events(rows(NOON_MS)), "--url", "http://127.0.0.1:9")
    assert outcome.code == 1
    assert "is `tidewise up` running there?" in outcome.err


def test_a_replay_names_the_lines_that_it_cannot_read(
    tidewise: Command, events: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []

    def send(clients: object, found: Iterable[Interaction], **_: object) -> ReplayReport:
        sent.extend(f"{event.item_id} {event.time_ms}" for event in found)
        return ReplayReport({"accepted": len(sent)}, 1.0)

    monkeypatch.setattr("tidewise.commands.files.replay.replay_live", send)
    paths = [
        events("user_id,item_id,time\nann,i1,2022-06-24 21:20:11\nann,,2022-06-24\n", "monday.csv"),
        events("user_id;item_id;time\nann;i2;2022-06-25\nann;i3\n", "tuesday.csv"),
    ]
    outcome = tidewise("replay", *paths, "--from", "2022-06-24T01:00")
    assert sent == ["i1 1656105611000", "i2 1656115200000"]
    assert "monday.csv, line 3: item: wanted 1 to 256 bytes of UTF-8" in outcome.err
    assert "tuesday.csv, line 3: has 2 values where the header names 3 columns" in outcome.err
    assert "bad_lines 2" in outcome.out


def test_a_replay_warns_once_of_events_out_of_order(
    tidewise: Command, events: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def send(clients: object, found: Iterable[Interaction], **_: object) -> ReplayReport:
        return ReplayReport({"accepted": len(list(found))}, 1.0)

    monkeypatch.setattr("tidewise.commands.files.replay.replay_live", send)
    path = events(
        HEADER + "ann,i1,1700000000000\nann,,1\nann,i2,1700000060000\nann,i3,1700000000000\nann,i4,1700000000001\n"
    )
    outcome = tidewise("replay", path)
    assert "warning: events.csv, line 5: 2023-11-14 22:13:20 UTC is earlier than an event before it" in outcome.err
    assert (outcome.err.count("warning"), "accepted 4" in outcome.out) == (1, True)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--kafka", "h:1", "--url", "http://h"), "wanted --url or --kafka, got both"),
        (("--rate", "1", "--speed", "2"), "wanted --rate or --speed, got both"),
        (("--kafka", "h:1", "--clients", "2"), "--clients is for a server"),
        (("--group", "5"), "--speed and --group are for Kafka"),
        (("--rate", "0"), "'--rate': Input should be greater than or equal to 0.001"),
        (("--rate", "-1"), "'--rate': Input should be greater than or equal to 0.001"),
        (("--rate", "inf"), "'--rate': inf is not a finite number"),
        (("--kafka", "h:1", "--speed", "0"), "'--speed': Input should be greater than or equal to 0.001"),
    ],
)
def test_replay_options_that_make_no_sense_are_errors(
    tidewise: Command, events: Callable[[str], str], options: tuple[str, ...], reason: str
) -> None:
    outcome = tidewise("replay", events(rows(NOON_MS)), *options)
    assert outcome.code == 2
    assert reason in outcome.err


def test_a_worker_without_kafka_asks_for_its_address(tidewise: Command) -> None:
    outcome = tidewise("worker")
    assert outcome.code == 2
    assert "give --kafka HOST:PORT" in outcome.err


def test_an_absent_flag_does_not_override_set(tidewise: Command) -> None:
    outcome = tidewise("worker", "--set", "kafka.bootstrap_servers=127.0.0.1:9")
    assert "give --kafka" not in outcome.err
    assert "127.0.0.1:9" in outcome.err
