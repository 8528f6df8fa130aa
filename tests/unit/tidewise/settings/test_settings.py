"""Settings: precedence of the sources, validation, and messages without secrets."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from core.errors import InvalidSettings
from core.events.history import WindowShape
from core.events.interactions import DEFAULT_EVENT_TYPES, EventTypes
from core.records.api_keys import Scope
from tidewise.settings.docs_page import settings_table
from tidewise.settings.renamed import RENAMED
from tidewise.settings.schema import Settings, load_settings

KEY = "k" * 24


def load(
    toml: str = "", *, folder: Path | None = None, environment: dict[str, str] | None = None, **overrides: object
) -> Settings:
    """Settings from a TOML text, an environment and flags (`server_port=1` stands for server.port)."""
    config = None
    if toml:
        assert folder is not None
        config = folder / "given.toml"
        config.write_text(toml)
    flags = {name.replace("_", ".", 1): value for name, value in overrides.items()}
    return load_settings(config=config, overrides=flags, environment=environment or {})


def test_the_default_database_is_sqlite_in_the_data_folder() -> None:
    settings = load()
    assert (settings.server.host, settings.server.port, settings.server.api_key) == ("127.0.0.1", 8080, None)
    assert settings.database_url() == "sqlite:///.tidewise/tidewise.db"
    assert settings.event_types() == EventTypes(DEFAULT_EVENT_TYPES)
    assert settings.window_shape() == WindowShape(size=50, step=10)


def test_precedence_is_flag_environment_file_default(tmp_path: Path) -> None:
    toml = "[server]\nport = 1\nmax_batch = 1\nmax_body_mib = 1"
    environment = {"TIDEWISE_SERVER__PORT": "2", "TIDEWISE_SERVER__MAX_BATCH": "2"}
    server = load(toml, folder=tmp_path, environment=environment, server_port=3).server
    assert (server.port, server.max_batch, server.max_body_mib, server.host) == (3, 2, 1, "127.0.0.1")


def test_a_flag_of_none_counts_as_absent() -> None:
    assert load(environment={"TIDEWISE_SERVER__PORT": "2"}, server_port=None).server.port == 2


def test_the_file_in_the_data_folder_is_read_unless_another_is_named(tmp_path: Path) -> None:
    (tmp_path / "tidewise.toml").write_text("[server]\nport = 4")
    assert load(data_folder=tmp_path).server.port == 4
    assert load("[server]\nport = 5", folder=tmp_path, data_folder=tmp_path).server.port == 5


def test_a_file_found_in_the_data_folder_cannot_move_the_data_folder(tmp_path: Path) -> None:
    (tmp_path / "tidewise.toml").write_text('[data]\nfolder = "elsewhere"')
    with pytest.raises(InvalidSettings, match=r"data\.folder \(file .*tidewise\.toml\): .* name it with --config"):
        load(data_folder=tmp_path)


def test_variables_of_other_programs_are_ignored() -> None:
    assert load(environment={"PATH": "/bin", "TIDE": "high"}) == load()


@pytest.mark.parametrize(
    "variable",
    [
        "TIDEWISE_SERVER__PROT",
        "TIDEWISE_PORT",
        "TIDEWISE_SERVR__PORT",
        "TIDEWISE_SERVER__PORT__NUMBER",
        "TIDEWISE_SERVER",
    ],
)
def test_a_variable_that_matches_no_setting_is_an_error_that_names_it(variable: str) -> None:
    with pytest.raises(InvalidSettings, match=rf"environment variable {variable}\): "):
        load(environment={variable: "1"})


def test_a_variable_may_name_the_file_of_a_setting(tmp_path: Path) -> None:
    secret = tmp_path / "api_key"
    secret.write_text(f"{KEY}\n")
    assert load(environment={"TIDEWISE_SERVER__API_KEY_FILE": str(secret)}).api_key() == KEY


def test_a_setting_of_a_file_name_is_no_variable_for_a_file() -> None:
    assert load(environment={"TIDEWISE_KAFKA__SSL_CA_FILE": "/no/such.pem"}).kafka.ssl_ca_file == "/no/such.pem"


def test_the_file_of_a_setting_must_be_readable(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    message = rf"environment variable TIDEWISE_SERVER__API_KEY_FILE: wanted the path of a readable .*{missing}"
    with pytest.raises(InvalidSettings, match=message):
        load(environment={"TIDEWISE_SERVER__API_KEY_FILE": str(missing)})


def test_a_wrong_value_in_a_file_is_an_error_that_names_both(tmp_path: Path) -> None:
    secret = tmp_path / "api_key"
    secret.write_text("hunter2")
    origin = rf"server\.api_key \(file {secret} \(environment variable TIDEWISE_SERVER__API_KEY_FILE\)\): wanted"
    with pytest.raises(InvalidSettings, match=origin) as caught:
        load(environment={"TIDEWISE_SERVER__API_KEY_FILE": str(secret)})
    assert "hunter2" not in str(caught.value)


def test_a_file_of_no_setting_is_an_error_that_names_the_variable() -> None:
    with pytest.raises(InvalidSettings, match=r"environment variable TIDEWISE_SERVER__API_KYE_FILE\): "):
        load(environment={"TIDEWISE_SERVER__API_KYE_FILE": "/run/secrets/api_key"})


def test_the_password_of_the_database_is_put_into_its_url() -> None:
    settings = load(database_url="postgresql+psycopg://shop@db:5432/tidewise", database_password="p@ss/word")
    assert settings.database_url() == "postgresql+psycopg://shop:p%40ss%2Fword@db:5432/tidewise"
    assert "word" not in str(settings.masked()["database"]["password"])


@pytest.mark.parametrize("url", ["", "sqlite:///x.db", "postgresql://db/tidewise", "postgresql://shop:one@db/tidewise"])
def test_a_password_needs_a_url_with_a_user_and_without_password(url: str) -> None:
    with pytest.raises(InvalidSettings, match=r"^database .*: password needs a database\.url with a user") as caught:
        load(database_url=url, database_password="hunter2")
    assert "hunter2" not in str(caught.value)


def test_an_acknowledgement_needs_no_more_replicas_than_there_are() -> None:
    assert load(kafka_replication_factor=3, kafka_min_insync_replicas=2).kafka.min_insync_replicas == 2
    with pytest.raises(InvalidSettings, match=r"wanted at most kafka\.replication_factor, got 2 and 1"):
        load(kafka_min_insync_replicas=2)


def test_an_unknown_name_in_the_file_is_an_error_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidSettings, match=r"^server\.prot \(file .*\): no such setting; did you mean server\.port\?$"
    ):
        load("[server]\nprot = 1", folder=tmp_path)


@pytest.mark.parametrize(
    ("text", "name", "meant"),
    [
        ("[windw]\nsize = 3", "windw", "the section window"),
        ("[events.types.view]\nwieght = 3", "events.types.view.wieght", "events.types.view.weight"),
        ("[events]\ntpes = 3", "events.tpes", "events.types"),
    ],
)
def test_advice_for_an_unknown_name_is_of_its_kind(text: str, name: str, meant: str, tmp_path: Path) -> None:
    message = rf"^{re.escape(name)} \(file .*\): no such setting; did you mean {re.escape(meant)}\?$"
    with pytest.raises(InvalidSettings, match=message):
        load(text, folder=tmp_path)


def test_a_missing_settings_file_is_told_in_plain_words(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"nofile\.toml: wanted a readable TOML file, got: no such file;"):
        load_settings(config=tmp_path / "nofile.toml", environment={})


@pytest.mark.parametrize("old", RENAMED)
def test_an_old_name_is_an_error_that_gives_the_new_name(old: str, tmp_path: Path) -> None:
    section, name = old.split(".")
    advice = re.escape(f"no such setting; it is called {RENAMED[old]} since version 0.2")
    with pytest.raises(InvalidSettings, match=rf"^{old} \(file .*\): {advice}$"):
        load(f"[{section}]\n{name} = 1", folder=tmp_path)
    with pytest.raises(InvalidSettings, match=rf"^{old} \(command line\): {advice}$"):
        load(**{f"{section}_{name}": 1})
    variable = f"TIDEWISE_{section}__{name}".upper()
    with pytest.raises(InvalidSettings, match=rf"^{old} \(environment variable {variable}\): {advice}$"):
        load(environment={variable: "1"})


def test_each_renamed_setting_exists() -> None:
    names = {row.name for row in settings_table()}
    assert set(RENAMED.values()) <= names
    assert not set(RENAMED) & names


def test_an_unknown_flag_is_an_error() -> None:
    with pytest.raises(InvalidSettings, match=r"^server\.prot \(command line\): no such setting"):
        load(server_prot=1)


def test_each_error_has_its_own_line() -> None:
    with pytest.raises(InvalidSettings) as caught:
        load(environment={"TIDEWISE_CLOCK__MODE": "moon"}, server_port="many")
    assert str(caught.value).splitlines() == [
        "server.port (command line): wanted a valid integer, unable to parse string as an integer, got 'many'",
        "clock.mode (environment variable TIDEWISE_CLOCK__MODE): wanted 'wall' or 'stream', got 'moon'",
    ]


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("server = 1", "wanted a table of named values"),
        ("[x", "readable TOML"),
        ("[server]\nport = true", r"server\.port .*: wanted a number, got true"),
        (
            "[outcomes.types.wihs]\ncounts_as = 'click'",
            "wanted event types .*, got 'wihs'; correct it, or add events.types.w",
        ),
    ],
)
def test_a_wrong_file_is_an_error(toml: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=message):
        load(toml, folder=tmp_path)


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"missing\.toml: wanted a readable TOML file"):
        load_settings(config=tmp_path / "missing.toml", environment={})


@pytest.mark.parametrize("value", ["nan", "inf", "-1"])
def test_numbers_are_finite_and_in_range(value: str) -> None:
    with pytest.raises(InvalidSettings, match=r"popularity\.half_life_days"):
        load(popularity_half_life_days=value)


def test_a_window_that_cannot_slide_is_refused() -> None:
    with pytest.raises(InvalidSettings, match="wanted 1 <= step <= size, got size 50 and step 60"):
        load(window_step=60)


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(InvalidSettings, match="got width 64 and heads 3"):
        load(model_heads=3)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_a_loopback_address_needs_no_key(host: str) -> None:
    assert load(server_host=host).server.host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "shop.example"])
def test_any_other_address_needs_a_key(host: str) -> None:
    with pytest.raises(InvalidSettings, match=r"needs server\.api_key; set TIDEWISE_SERVER__API_KEY"):
        load(server_host=host, environment={"TIDEWISE_SERVER__API_KEY": ""})
    assert load(server_host=host, server_api_key=KEY).server.host == host


def test_secrets_are_masked_wherever_settings_are_shown() -> None:
    url = "postgresql+psycopg://shop:hunter2@db/tidewise"
    settings = load(server_api_key=KEY, database_url=url)
    for shown in (repr(settings), str(settings.masked()), settings.model_dump_json()):
        assert KEY not in shown
        assert "hunter2" not in shown
    assert settings.database_url() == url


PROVIDER = {
    "oidc_issuer": "https://id.example.com/",
    "oidc_client_id": "tidewise",
    "oidc_client_secret": "hunter2",
    "oidc_public_url": "https://shop.example.com/tidewise",
    "oidc_admins": "it, owners",
    "server_api_key": KEY,
}


def test_an_identity_provider_has_a_client_and_lets_somebody_in() -> None:
    settings = load(**PROVIDER)
    assert (settings.oidc.issuer, settings.oidc.granted()[Scope.ADMIN]) == ("https://id.example.com", ("it", "owners"))
    assert "hunter2" not in str(settings.masked())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"oidc_client_id": "", "oidc_public_url": ""}, "issuer needs client_id and public_url too"),
        ({"oidc_client_secret": ""}, "issuer needs client_secret too"),
        ({"oidc_admins": " , "}, "issuer needs readers, writers or admins"),
        ({"oidc_issuer": "http://id.example.com"}, "wanted an https address"),
        ({"oidc_public_url": "https://shop.example.com/?a=1"}, "wanted an https address without a query"),
        ({"oidc_issuer": "id.example.com"}, "wanted an https address"),
        ({"server_api_key": ""}, "without server.api_key nobody needs to sign in"),
    ],
)
def test_half_an_identity_provider_is_an_error(changes: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidSettings, match=message):
        load(**PROVIDER | changes)


@pytest.mark.parametrize("name", ["server_api_key", "server_api_kye"])
def test_messages_do_not_contain_secrets(name: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        load(**{name: "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_event_types_can_be_changed_and_added(tmp_path: Path) -> None:
    toml = "[events.types.view]\nweight = 0.5\n[events.types.wishlist]\nseen = false"
    environment = {"TIDEWISE_EVENTS__TYPES__VIEW__SEEN": "false"}
    types = load(toml, folder=tmp_path, environment=environment, events_default_type="wishlist").event_types()
    assert [kind.name for kind in types.table] == [*(kind.name for kind in DEFAULT_EVENT_TYPES), "wishlist"]
    view, wishlist = types.table[0], types.table[-1]
    assert (view.weight, view.seen, view.window) == (0.5, False, True)
    assert (wishlist.weight, wishlist.seen, wishlist.window) == (1.0, False, True)


def test_a_table_in_a_variable_may_be_json() -> None:
    types = load(environment={"TIDEWISE_EVENTS__TYPES": '{"view": {"weight": 3}}'}).events.types
    assert (types["view"].weight, types["cart"].weight) == (3.0, 3.0)
    message = r"kafka\.fields \(environment variable TIDEWISE_KAFKA__FIELDS\): wanted a table of named values, got 'x'"
    with pytest.raises(InvalidSettings, match=message):
        load(environment={"TIDEWISE_KAFKA__FIELDS": "x"})


def test_settings_constructed_directly_ignore_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEWISE_SERVER__PORT", "9")
    assert Settings().server.port == 8080
    assert load_settings().server.port == 9


def test_the_default_type_must_be_in_the_table() -> None:
    with pytest.raises(InvalidSettings, match=r"default_type: wanted one of view, click, .* got 'wish'"):
        load(events_default_type="wish")


def test_an_event_type_has_no_other_fields_and_a_valid_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"events\.types\.view\.wieght .*no such setting"):
        load("[events.types.view]\nwieght = 1", folder=tmp_path)
    with pytest.raises(InvalidSettings, match="event type: wanted 1 to 256 bytes"):
        load('[events.types.""]\nweight = 1', folder=tmp_path)


def test_scenarios_are_tables_by_name(tmp_path: Path) -> None:
    toml = '[scenarios.home]\nn = 3\n[scenarios.cart]\nboosts = [{where = {brand = "x"}, factor = 2}]'
    assert load(toml, folder=tmp_path).scenarios.by_name == {
        "home": {"n": 3},
        "cart": {"boosts": [{"where": {"brand": "x"}, "factor": 2}]},
    }
    assert load().scenarios.by_name == {}


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[scenarios.home]\nn = 0", "home: n: wanted a whole number from 1 to 500, got 0"),
        ("[scenarios.home]\ncolour = 1", "home: 'colour': unknown field of scenario"),
        ("[scenarios.Home]\nn = 1", "name: wanted 1 to 64 of a-z"),
        ("[scenarios]\nhome = 1", r"scenarios\.home .*: wanted a table of named values"),
    ],
)
def test_a_wrong_scenario_is_an_error_that_says_where(toml: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=message):
        load(toml, folder=tmp_path)


def test_foreign_fields_are_mapped_to_ours() -> None:
    environment = {"TIDEWISE_KAFKA__FIELDS__USER_ID": "payload.customer.id"}
    assert load(environment=environment).kafka.fields == {"user_id": "payload.customer.id"}
    with pytest.raises(InvalidSettings, match=r"wanted names among event_id, user_id, .* got 'user' = 'x'"):
        load(environment={"TIDEWISE_KAFKA__FIELDS__USER": "x"})


def test_loaded_settings_are_immutable() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load().server.port = 1  # type: ignore[misc]


def test_cors_origins_need_an_api_key() -> None:
    with pytest.raises(InvalidSettings, match="cors_origins lets web pages call the API and needs"):
        load(server_cors_origins="https://shop.example")
    settings = load(server_api_key=KEY, server_cors_origins="https://shop.example, https://app.example")
    assert settings.server.origins == ("https://shop.example", "https://app.example")
