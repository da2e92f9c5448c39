"""What is kept of a trial: plain data, alike in the database, the archive and the tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from skexplore.arch import PLAIN, Setting, says_body
from skexplore.errors import UserError
from skexplore.files import PlainName, among, read_by
from skexplore.study.samplers import SAMPLERS

STATUSES = ("complete", "stopped", "over_budget", "replay", "failed", "diverged", "running")

# text fields with few values: an archive or a database with others is refused
ChosenBy = Annotated[str, among(SAMPLERS, "enqueued", "untried", "user", "none")]  # of a trial
Status = Annotated[str, among(STATUSES)]
Origin = Annotated[str, among(("search", "anchor", "replicate", "replay"))]

MOMENT = "%Y-%m-%dT%H:%M:%SZ"  # UTC
THEN = ", then "  # between values of an environment that changed from run to run

# columns of trials.csv and first keys of records.jsonl, in this order
COLUMNS = (
    "number", "arch_id", "net_id", "block", "status", "origin", "sampler", "rung", "epochs", "images", "seed",
    "ref_params", "ref_macs", "proxy_params", "proxy_macs", "val_error", "seconds", "reason",
)  # fmt: skip


def now() -> str:
    """Return this moment as records have it."""
    return datetime.now(UTC).strftime(MOMENT)


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.strptime(text, MOMENT).replace(tzinfo=UTC)
    except ValueError:
        found = None
    if found is None or found.strftime(MOMENT) != text or found.year < 2000:
        raise UserError(f"{text!r}: must be a moment in UTC such as 2026-01-31T12:00:00Z")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One epoch of a learning curve; losses in nats, ``val_error`` a fraction 0..1, wall ``seconds``."""

    epoch: int
    train_loss: float
    val_loss: float
    val_error: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One trial.

    status: one of ``STATUSES``. origin: ``search``, ``anchor``, ``replicate`` (a leader of the search with a fresh
    seed) or ``replay``. rung: index of the last rung reached, None if never trained. epochs, images, seconds: what was
    trained for this record itself (0 for a replay). ref_*: cost at the reference (SKNet-50, 224x224); proxy_*: cost of
    the network trained. val_error: fraction 0..1 after the last epoch. replay_of: the key of the measurement that was
    told. setting: what surrounds the block, in ablations. test_error: fraction 0..1, of finalists alone; test_right:
    which images of the test set they got right, see ``study.images``. weights_sha256: of the file of weights that the
    training left, empty if it left none or was recorded before this was written down. ref_latency_ms: what a batch
    takes at the reference, where the study measures that. device: model and capability of what it was trained on, of
    several joined by ``THEN``; empty in older records. ended: when its training, or the last part of it, ended, in UTC;
    empty in older records and where nothing was trained.
    """

    number: int
    arch_id: PlainName
    net_id: PlainName
    block: str
    status: Status
    origin: Origin
    sampler: ChosenBy
    rung: int | None = None
    epochs: int = 0
    images: int = 0
    seed: int
    ref_params: int
    ref_macs: int
    proxy_params: int
    proxy_macs: int
    val_error: float | None = None
    seconds: float = 0.0
    reason: str = ""
    key: PlainName
    replay_of: PlainName = ""
    curve: tuple[Epoch, ...] = ()
    setting: Setting = PLAIN
    test_error: float | None = None
    test_right: str = ""
    weights_sha256: str = ""
    ref_latency_ms: float | None = None
    device: str = ""
    ended: Annotated[str, read_by(_moment)] = ""

    @property
    def plain(self) -> bool:
        """Whether nothing is changed around the block but the body that its text names."""
        return self.setting == (
            PLAIN if not says_body(self.block) else replace(PLAIN, backbone=self.setting.backbone)
        )

    @property
    def trained_in(self) -> tuple[datetime, datetime] | None:
        """From when until when it was trained, in UTC, as if in one piece; None where that is not on record."""
        end = _moment(self.ended)
        if end is None or not self.seconds:
            return None
        try:
            return end - timedelta(seconds=self.seconds), end
        except (OverflowError, ValueError):  # no training takes so long
            return None

    @property
    def beside(self) -> bool:
        """Whether it is no trial of the sampler's: its number counts those beside them."""
        return self.origin in ("anchor", "replicate")

    def at(self, epochs: int) -> float | None:
        """Return the validation error after so many epochs, None if they were not trained."""
        return self.curve[epochs - 1].val_error if len(self.curve) >= epochs else None

    def row(self) -> dict[str, Any]:
        """Return the columns of ``trials.csv``."""
        return {name: getattr(self, name) for name in COLUMNS}

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data, without what not every record has where it has its usual value."""
        data = asdict(self)
        if self.setting == PLAIN:
            del data["setting"]
        for name in ("test_error", "ref_latency_ms"):
            if data[name] is None:
                del data[name]
        for name in ("test_right", "weights_sha256", "device", "ended"):
            if not data[name]:
                del data[name]
        return data


def devices_of(records: Iterable[Record]) -> dict[str, int]:
    """Return how many complete records each device has trained, as far as they say."""
    return dict(Counter(each.device for each in records if each.device and each.status == "complete"))


Size = Callable[[Record], float]


def reference_macs(record: Record) -> float:
    """Return the multiply-adds of a record at the reference."""
    return record.ref_macs


def differences(here: dict[str, Any], there: dict[str, Any]) -> str:
    """Return the keys of which the values differ, with both, as part of a sentence."""
    keys = [key for key in {**here, **there} if here.get(key) != there.get(key)]
    return ", ".join(
        f"{key.replace('_', ' ')} {_value(here.get(key))} here, {_value(there.get(key))} there"
        for key in keys
    )


def _value(value: Any) -> str:
    return "not noted" if value is None else f"{value:,}" if type(value) is int else str(value)
