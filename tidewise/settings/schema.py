"""The settings: each with its type, its default and one sentence.

A value comes from, strongest first: a flag, an environment variable (`TIDEWISE_SERVER__PORT`), a TOML file
(`[server]` / `port = 8080`), the default. Unknown names are errors everywhere. `docs/settings.md` is generated from
here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import quote

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, SettingsConfigDict
from pydantic_settings import PydanticBaseSettingsSource as AnySource

from core.errors import InvalidSettings
from core.events.history import WindowShape
from core.events.interactions import DEFAULT_EVENT_TYPES, EventType, EventTypes, check_id
from core.events.values import ValueWeight
from tidewise.settings.access import OidcSettings
from tidewise.settings.drift import DriftSettings, InterestSettings
from tidewise.settings.errors import explain
from tidewise.settings.kafka import KafkaSection
from tidewise.settings.learning import LearnSettings, ModelSettings, TrainSettings
from tidewise.settings.observability import LogSettings, MetricsSettings
from tidewise.settings.outcomes import OutcomeSettings
from tidewise.settings.scenarios import ScenarioSettings
from tidewise.settings.section import Amount, Count, Section
from tidewise.settings.server import ServerSettings
from tidewise.settings.sources import Flag, Source, TomlFile, has_value, variables

CONFIG_NAME = "tidewise.toml"
DATABASE_NAME = "tidewise.db"
URL_WITHOUT_PASSWORD = re.compile(r"^([\w+]+://[^:@/?]+)@")  # group 1: up to the user


class DataSettings(Section):
    """The data folder."""

    folder: Path = Path(".tidewise")
    """The folder of the SQLite database, the models and, by default, `tidewise.toml`."""


class DatabaseSettings(Section):
    """The database."""

    url: SecretStr = SecretStr("")
    """An SQLAlchemy URL, as `postgresql+psycopg://user:password@host/name`; empty: SQLite in the data folder."""
    password: SecretStr = SecretStr("")
    """The password of the user in `database.url`, where the URL has none."""

    @model_validator(mode="after")
    def _password_has_a_user(self) -> Self:
        if self.password.get_secret_value() and not URL_WITHOUT_PASSWORD.match(self.url.get_secret_value()):
            msg = "password needs a database.url with a user and without a password, as postgresql+psycopg://user@host/name"
            raise ValueError(msg)
        return self

    def full_url(self) -> str:
        """The URL with the password, unmasked; empty for SQLite in the data folder."""
        url = self.url.get_secret_value()
        if password := self.password.get_secret_value():
            return URL_WITHOUT_PASSWORD.sub(lambda user: f"{user[1]}:{quote(password, safe='')}@", url)
        return url


class ClockSettings(Section):
    """The clock of recommendations."""

    mode: Literal["wall", "stream"] = "wall"
    """`wall`: the wall clock; `stream`: the highest event time applied, for replays.

    Fixed with the database: it is given once, when the database is made."""


class WindowSettings(Section):
    """The sliding window of a user's events that the encoder reads."""

    size: Count = 50
    """The maximum length of a user's window, in events."""
    step: Count = 10
    """The number of events by which a full window slides, from 1 to `window.size`."""

    @model_validator(mode="after")
    def _check_shape(self) -> Self:
        self.shape()
        return self

    def shape(self) -> WindowShape:
        """The window as a domain object."""
        return WindowShape(self.size, self.step)


class EventTypeSettings(Section):
    """One type of event."""

    window: bool = True
    """Whether events of this type enter the window that the encoder reads."""
    weight: float = Field(1.0, ge=0, allow_inf_nan=False)
    """The weight of an event in the popularity of its item."""
    seen: bool = True
    """Whether the item counts as seen by the user, and is not recommended again."""
    hide: bool = False
    """As `seen`, but also where `recommend.exclude_seen` is off: a dislike."""
    negative: bool = False
    """Whether the event is negative feedback."""
    unhide: bool = False
    """Whether the event takes back an earlier `hide` of the same user and item: a like."""
    value_weight: ValueWeight = "none"
    """What the weight is multiplied by: `linear` the event's value, `log` log2(1 + value), `none` nothing."""
    dislike_below: float | None = Field(None, allow_inf_nan=False)
    """Events with a lower value are dislikes: hidden, not trained on; those with any other value `unhide`."""


def _default_types() -> dict[str, dict[str, Any]]:
    fields = EventTypeSettings.model_fields
    return {kind.name: {name: getattr(kind, name) for name in fields} for kind in DEFAULT_EVENT_TYPES}


class EventSettings(Section):
    """Event types. `[events.types.NAME]` changes a known type or adds a new one; omitted fields keep their value."""

    types: dict[str, EventTypeSettings] = Field(default_factory=_default_types, validate_default=True)
    """The event types; the fields of each are listed below."""
    default_type: str = "click"
    """The type of an event without a type."""
    max_future_s: float = Field(300.0, ge=0, allow_inf_nan=False)
    """How many seconds an event's time may be ahead of the wall clock."""

    @field_validator("types", mode="before")
    @classmethod
    def _merge_with_defaults(cls, types: object) -> object:
        if not isinstance(types, Mapping):
            return types
        defaults = _default_types()
        new = {check_id("event type", name): fields for name, fields in types.items() if name not in defaults}
        known = {name: _changed(fields, types.get(name, {})) for name, fields in defaults.items()}
        return known | new

    @model_validator(mode="after")
    def _default_is_known(self) -> Self:
        if self.default_type not in self.types:
            msg = f"default_type: wanted one of {', '.join(self.types)}, got {self.default_type!r}"
            raise ValueError(msg)
        return self


def _changed(fields: dict[str, Any], changes: object) -> object:
    return fields | changes if isinstance(changes, dict) else changes


class ItemSettings(Section):
    """The catalogue."""

    catalogue: Literal["required", "none"] = "required"
    """`required`: only items of the catalogue are recommended; `none`: all items with an event are."""


class RecommendSettings(Section):
    """Recommendations."""

    exclude_seen: bool = True
    """Whether items that the user has seen are excluded; switch it off for repeat consumption.

    Models are trained for one of the two: after a change, retrain (`tidewise learn --retrain`)."""
    blend: bool = True
    """Whether the model's scores are blended with live counts (what comes next to the user's last items, popularity).

    The weights are fitted at each training. Off: the model ranks alone."""
    max_n: Count = 500
    """The maximum number of items in an answer."""


class PopularitySettings(Section):
    """The fallback for users without a history."""

    half_life_days: Amount = 7.0
    """The half-life in days of an event's weight in the popularity of its item."""


class CacheSettings(Section):
    """The memory of caches."""

    vectors_mib: Count = 64
    """The size in MiB of a process's cache of user vectors."""
    users_mib: Count = 32
    """The size in MiB of a process's cache of users' windows and excluded items."""
    lists_mib: Count = 32
    """The size in MiB of a process's cache of lists, which are kept while nothing changes that they depend on."""
    states_mib: Count = 256
    """The size in MiB of a process's cache of the encoder's incremental state by user."""
    import_mib: Count = 512
    """The size in MiB of the cache of a SQLite database's pages during an import; it grows with the database."""


class Settings(BaseSettings):
    """All settings of a process."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", validate_default=True)

    data: DataSettings = DataSettings()
    database: DatabaseSettings = DatabaseSettings()
    server: ServerSettings = ServerSettings()
    oidc: OidcSettings = OidcSettings()
    clock: ClockSettings = ClockSettings()
    window: WindowSettings = WindowSettings()
    events: EventSettings = EventSettings()
    items: ItemSettings = ItemSettings()
    recommend: RecommendSettings = RecommendSettings()
    outcomes: OutcomeSettings = OutcomeSettings()
    scenarios: ScenarioSettings = ScenarioSettings()
    popularity: PopularitySettings = PopularitySettings()
    interest: InterestSettings = InterestSettings()
    drift: DriftSettings = DriftSettings()
    model: ModelSettings = ModelSettings()
    train: TrainSettings = TrainSettings()
    learn: LearnSettings = LearnSettings()
    cache: CacheSettings = CacheSettings()
    kafka: KafkaSection = KafkaSection()
    metrics: MetricsSettings = MetricsSettings()
    log: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _sign_in_needs_api_key(self) -> Self:
        if self.oidc.issuer and self.server.api_key is None:
            msg = "oidc.issuer: without server.api_key nobody needs to sign in; set TIDEWISE_SERVER__API_KEY too"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _outcome_types_exist(self) -> Self:
        unknown = [name for name in self.outcomes.types if name not in self.events.types]
        if unknown:
            known, name = ", ".join(self.events.types), unknown[0]
            msg = f"outcomes.types: wanted event types ({known}), got {name!r}; correct it, or add events.types.{name}"
            raise ValueError(msg)
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: AnySource,
        env_settings: AnySource,
        dotenv_settings: AnySource,
        file_secret_settings: AnySource,
    ) -> tuple[AnySource, ...]:
        """The sources that `load_settings` passes; any other construction reads its arguments alone."""
        assert isinstance(init_settings, InitSettingsSource)
        return tuple(init_settings.init_kwargs.get("sources", (init_settings,)))

    def database_url(self) -> str:
        """The database URL, unmasked."""
        return self.database.full_url() or f"sqlite:///{self.data.folder / DATABASE_NAME}"

    def has_database(self) -> bool:
        """Whether a database may exist: an SQLite file is created when it is first opened."""
        url = self.database.url.get_secret_value()
        if url.startswith("sqlite"):
            return Path(url.partition(":///")[2]).is_file()
        return bool(url) or (self.data.folder / DATABASE_NAME).exists()

    def api_key(self) -> str | None:
        """The API key with all rights, unmasked."""
        return _clear(self.server.api_key)

    def write_key(self) -> str | None:
        """The API key for writing, unmasked."""
        return _clear(self.server.write_key)

    def read_key(self) -> str | None:
        """The API key for reading, unmasked."""
        return _clear(self.server.read_key)

    @property
    def shares_vectors(self) -> bool:
        """Whether workers pass user vectors to APIs through the database.

        Not with SQLite: it has one writer, and each stored vector would delay ingestion.
        """
        return bool(self.kafka.bootstrap_servers) and self.database_url().startswith("postgresql")

    def event_types(self) -> EventTypes:
        """The event types as domain objects."""
        return EventTypes(tuple(EventType(name, **kind.model_dump()) for name, kind in self.events.types.items()))

    def window_shape(self) -> WindowShape:
        """The window as a domain object."""
        return self.window.shape()

    def masked(self) -> dict[str, Any]:
        """All values as JSON types, secrets masked."""
        return self.model_dump(mode="json")


def _clear(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


def load_settings(
    *,
    config: Path | None = None,
    overrides: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """The settings of this process; raises `InvalidSettings`, whose message names each wrong setting and its origin.

    `config`: a TOML file (default: `tidewise.toml` in the data folder, if it exists). `overrides`: values of flags by
    dotted name, None for a flag that is absent. `environment`: default, that of the process.
    """
    sources = open_sources(config, overrides or {}, os.environ if environment is None else environment)
    try:
        arguments: dict[str, Any] = {"sources": sources}
        return Settings(**arguments)
    except ValidationError as error:
        raise InvalidSettings(explain(error, sources, Settings)) from None


def open_sources(
    config: Path | None, overrides: Mapping[str, object], environment: Mapping[str, str] = os.environ
) -> list[Source]:
    """The sources of the settings, strongest first; arguments as for `load_settings`."""
    flags = [Flag(Settings, name, value) for name, value in overrides.items() if value is not None]
    sources: list[Source] = [*flags, *variables(Settings, environment)]
    path = config or _data_folder(sources) / CONFIG_NAME
    if config is None and not path.is_file():
        return sources
    file = TomlFile(Settings, path)
    if config is None and has_value(file(), ("data", "folder")):
        msg = f"data.folder (file {path}): a file found in the data folder cannot move it; name it with --config"
        raise InvalidSettings(msg)
    return [*sources, file]


def _data_folder(sources: Sequence[Source]) -> Path:
    for source in sources:
        match source():
            case {"data": {"folder": str() | Path() as folder}}:
                return Path(folder)
    return DataSettings().folder
