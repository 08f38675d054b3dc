"""The store of versions: history is only ever added to, and every damage names the command that mends it."""

from __future__ import annotations

import errno
import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from airside.bank.bank import PrototypeBank
from airside.bank.snapshot import bank_digest
from airside.bank.store import BankStore
from airside.errors import CorruptError, MismatchError, StorageError, UsageError
from tests.builders import tiny_bank, tiny_class
from tests.unit.bank.test_durable import failing


def _with_class(bank: PrototypeBank, name: str) -> PrototypeBank:
    rng = np.random.default_rng(sum(name.encode()))
    return replace(bank, classes=(*bank.classes, tiny_class(rng, name)))


def _add(store: BankStore, name: str) -> str:
    return store.commit(lambda bank: _with_class(bank, name), "test", f"add {name}").id


def _files(store: BankStore) -> list[Path]:
    return sorted((store.path / "snapshots").iterdir())


def _flip(path: Path, position: int = -300) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 0xFF
    path.write_bytes(data)


@pytest.fixture
def store(tmp_path: Path) -> BankStore:
    """Three versions: 1 = class0..2, 2 = + tug, 3 = + bus."""
    made = BankStore(tmp_path / "bank", lock_timeout_s=5.0)
    made.create(tiny_bank(np.random.default_rng(0)), "test", "first")
    _add(made, "tug")
    _add(made, "bus")
    return made


def test_commits_follow_one_another(store: BankStore) -> None:
    log = store.log()
    assert [(i.number, i.author, i.message) for i in log] == [
        (3, "test", "add bus"),
        (2, "test", "add tug"),
        (1, "test", "first"),
    ]
    assert [i.parent for i in log] == [log[1].id, log[2].id, None]
    assert store.head() == log[0]
    assert store.head_id() == log[0].id
    assert [p.name for p in _files(store)] == [f"{i.number:06d}-{i.id[:12]}.zarr.zip" for i in reversed(log)]
    report = store.verify()
    assert report.ok
    assert report.notes == ()
    assert (report.snapshots, report.intact, report.head) == (3, 3, log[0])


def test_refs(store: BankStore) -> None:
    two = store.log()[1]
    for ref in ("2", "000002", two.id, two.id[:4], two.id[:12], two.id[:30]):
        assert store.load(ref)[1] == two, ref
    assert store.load()[0].names == ("class0", "class1", "class2", "tug", "bus")
    not_two = two.id[:20] + ("0" * 44 if two.id[20] != "0" else "1" * 44)
    for ref in ("4", "0", "", "head", two.id[:3], "zzzz", not_two, "99999999999", "²", "-1", "../HEAD"):
        with pytest.raises(UsageError, match=r"no snapshot .*airside bank log --bank"):
            store.load(ref)


def test_an_ambiguous_ref_is_refused(store: BankStore) -> None:
    copy = _files(store)[0]
    shutil.copy(copy, copy.with_name(copy.name.replace("000001", "000009")))
    with pytest.raises(UsageError, match="fits several"):
        store.load(store.log()[2].id[:8])


def test_rollback_adds_a_version(store: BankStore) -> None:
    two = store.load("2")
    info = store.rollback("2", author="me")
    assert (info.number, info.parent, info.author) == (4, store.load("3")[1].id, "me")
    assert info.message == f"roll back to 2 ({two[1].id[:12]}): add tug"
    assert bank_digest(store.load()[0]) == bank_digest(two[0])
    assert [i.number for i in store.log()] == [4, 3, 2, 1]
    assert store.rollback("1", message="because").message == "because"


def test_diff(store: BankStore) -> None:
    assert store.diff("2", "2").is_empty
    assert store.diff("1", "HEAD").added == ("tug", "bus")
    assert store.diff("HEAD", "1").removed == ("tug", "bus")

    def change(bank: PrototypeBank) -> PrototypeBank:
        old = bank.classes[0]
        fewer = replace(old, prototypes=old.prototypes[:2], support=old.support[:1])
        protected = replace(bank.classes[1], protected=False)
        return replace(bank, classes=(fewer, protected, *bank.classes[2:]), calibrations=(), model_fingerprint="0" * 64)

    store.commit(change, "test", "change")
    diff = store.diff("3", "4")
    assert (diff.added, diff.removed) == ((), ())
    assert (diff.model_changed, diff.calibrations_changed, diff.guard_changed) == (True, True, False)
    first, second = diff.changed
    assert (first.name, second.name) == ("class0", "class1")
    assert (first.prototypes_before, first.prototypes_after, first.support_before, first.support_after) == (3, 2, 2, 1)
    assert (second.prototypes_before, second.prototypes_after) == (3, 3)
    store.commit(lambda bank: replace(bank, guard_tokens=-bank.guard_tokens), "test", "guard")
    assert store.diff("4", "5").guard_changed


def test_an_update_that_fails_writes_nothing(store: BankStore) -> None:
    def broken(_: PrototypeBank) -> PrototypeBank:
        raise KeyError("mine")

    before = _files(store)
    with pytest.raises(KeyError, match="mine"):
        store.commit(broken, "test", "no")
    with pytest.raises(UsageError, match="wanted a PrototypeBank to store, got NoneType"):
        store.commit(lambda _: None, "test", "no")  # type: ignore[arg-type, return-value]
    with pytest.raises(UsageError, match="author"):
        store.commit(lambda bank: bank, "", "no")
    assert _files(store) == before
    assert store.verify().ok


def test_create_refuses_what_is_there(store: BankStore, tmp_path: Path) -> None:
    bank = store.load()[0]
    with pytest.raises(UsageError, match="already holds a bank"):
        store.create(bank, "test", "again")
    with pytest.raises(UsageError, match="wanted a PrototypeBank"):
        BankStore(tmp_path / "new").create(None, "test", "no")  # type: ignore[arg-type]
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="is a file"):
        BankStore(tmp_path / "file").create(bank, "test", "no")
    (store.path / "HEAD").unlink()
    with pytest.raises(CorruptError, match="snapshots but no HEAD: airside bank rollback 2"):
        store.create(bank, "test", "again")


def test_create_may_be_repeated_after_a_kill_before_head(store: BankStore) -> None:
    for file in _files(store)[1:]:
        file.unlink()
    (store.path / "HEAD").unlink()
    info = store.create(tiny_bank(np.random.default_rng(1)), "test", "again")
    assert (info.number, info.parent) == (2, None)
    assert store.verify().ok


def test_no_bank_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "none", tmp_path, tmp_path / "file"):
        store = BankStore(path)
        for call in (
            store.head,
            store.head_id,
            store.load,
            store.log,
            store.verify,
            lambda s=store: s.load("1"),
            lambda s=store: s.diff("1", "2"),
            lambda s=store: s.rollback("1"),
            lambda s=store: _add(s, "tug"),
        ):
            with pytest.raises(UsageError, match="no bank at"):
                call()
    assert sorted(os.listdir(tmp_path)) == ["file"]


@pytest.mark.parametrize("text", [None, b"", b"3\n", b"\xff" * 80, b"x" * 10_000, b"0 " + b"a" * 64 + b"\n"])
def test_a_spoilt_head_is_mended_by_rollback(text: bytes | None, store: BankStore) -> None:
    three = store.load()[0]
    (store.path / "HEAD").unlink()
    if text is not None:
        (store.path / "HEAD").write_bytes(text)
    for call in (store.head_id, store.head, store.load, store.log, lambda: _add(store, "x")):
        with pytest.raises(CorruptError, match=r"airside bank verify --bank .* airside bank rollback 3 --bank"):
            call()
    report = store.verify()
    assert not report.ok
    assert report.head is None
    assert report.intact == 3
    info = store.rollback("3")
    assert info.number == 4
    assert [i.number for i in store.log()] == [4, 3, 2, 1]
    assert bank_digest(store.load()[0]) == bank_digest(three)
    assert store.verify().ok


def test_a_damaged_head_snapshot_is_mended_by_rollback(store: BankStore) -> None:
    _flip(_files(store)[2], 100)
    for call in (store.load, lambda: _add(store, "x")):
        with pytest.raises(CorruptError, match=r"snapshot .*000003.* is damaged.*airside bank rollback 2 --bank"):
            call()
    report = store.verify()
    assert not report.ok
    assert (report.snapshots, report.intact) == (3, 2)
    info = store.rollback("2")
    assert info.number == 4
    assert [i.number for i in store.log()] == [4, 2, 1]
    assert _add(store, "new") == store.head_id()


def test_a_head_that_names_nothing(store: BankStore) -> None:
    _files(store)[2].unlink()
    for call in (store.head, store.load, store.log):
        with pytest.raises(CorruptError, match=r"is missing.*airside bank rollback 2 --bank"):
            call()
    assert any("HEAD names snapshot 3" in problem for problem in store.verify().problems)
    assert store.rollback("2").number == 4  # 3 stays taken: HEAD promised it once
    assert [i.number for i in store.log()] == [4, 2, 1]
    assert store.verify().ok


def test_a_gap_in_the_history(store: BankStore) -> None:
    lost = _files(store)[1]
    kept = lost.read_bytes()
    lost.unlink()
    assert store.load()[1].number == 3  # the present works
    _add(store, "later")
    with pytest.raises(CorruptError, match=r"history of snapshot 4 .* missing.*airside bank rollback 4 --bank"):
        store.log()
    assert not store.verify().ok
    lost.write_bytes(kept)
    assert store.verify().ok
    lost.write_bytes(kept[:-100])
    with pytest.raises(CorruptError, match="is damaged"):
        store.log()
    lost.unlink()
    assert store.rollback("4").number == 5
    assert [i.number for i in store.log()] == [5, 1]
    assert store.verify().ok
    assert len(store.verify().notes) == 2


def test_a_renamed_snapshot_is_refused(store: BankStore) -> None:
    one, two, _ = _files(store)
    two.unlink()
    shutil.copy(one, two)
    with pytest.raises(CorruptError, match=r"holds number 1.*wanted number 2"):
        store.load("2")
    with pytest.raises(CorruptError, match=r"holds number 1.*wanted number 2"):
        store.log()
    assert not store.verify().ok


def test_no_intact_snapshot_left(store: BankStore) -> None:
    for file in _files(store):
        file.write_bytes(b"")
    with pytest.raises(CorruptError, match="airside bank rollback REF"):
        store.load()
    shutil.rmtree(store.path / "snapshots")
    for call in (lambda: store.load("1"), store.load, store.log):
        with pytest.raises(CorruptError, match="is missing"):
            call()
    report = store.verify()
    assert not report.ok
    assert (report.snapshots, report.head) == (0, None)


def test_a_snapshot_of_a_newer_airside_is_left_alone(store: BankStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airside.bank.snapshot.SCHEMA", 0)
    for call in (store.load, store.head, store.log, lambda: _add(store, "x"), lambda: store.rollback("1")):
        with pytest.raises(MismatchError, match="upgrade airside"):
            call()
    assert len(store.verify().problems) == 3


def test_unacknowledged_snapshots_and_leftovers(store: BankStore) -> None:
    head = (store.path / "HEAD").read_bytes()
    _add(store, "unacknowledged")
    (store.path / "HEAD").write_bytes(head)  # as if killed before HEAD
    for place in (store.path, store.path / "snapshots"):
        (place / ".tmp-1-dead").write_bytes(b"part")
    (store.path / "snapshots" / "000004 (copy).zip").write_bytes(b"")
    report = store.verify()
    assert report.ok
    assert report.snapshots == 4
    assert [word in " ".join(report.notes) for word in ("snapshot 4", ".tmp-1-dead", "(copy)")] == [True] * 3
    assert len(report.notes) == 4
    assert store.load()[1].number == 3
    _add(store, "next")
    assert [i.number for i in store.log()] == [5, 3, 2, 1]
    assert not list(store.path.rglob(".tmp-*"))
    assert store.load("4")[0].names[-1] == "unacknowledged"


@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_disk_that_refuses_loses_nothing(
    call: str, number: int, store: BankStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, head = _files(store), store.head_id()
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing(number))
        with pytest.raises(StorageError):
            _add(store, "x")
        assert store.head_id() == head
    assert _files(store) == before
    assert store.verify() == replace(store.verify(), problems=(), notes=())
    assert store.load(_add(store, "x"))[1].number == 4


@pytest.mark.parametrize("good_writes", [0, 1, 2, 3])
def test_a_sync_that_fails_at_any_step(good_writes: int, store: BankStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """fsync is called for: snapshot, its folder, HEAD's new text, HEAD's folder."""
    fsync, calls = os.fsync, 0

    def later(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == good_writes + 1:
            raise OSError(errno.EIO, "Input/output error")
        fsync(descriptor)

    before, head = _files(store), store.head_id()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", later)
        with pytest.raises(StorageError, match="input/output") as caught:
            _add(store, "x")
    assert store.verify().ok
    assert store.verify().notes == ()
    if good_writes < 3:
        assert store.head_id() == head
        assert _files(store) == before
    else:  # HEAD is replaced already: the file it names must stay, and the message must not promise
        assert store.head().number == 4
        assert len(_files(store)) == 4
        assert "Snapshot 4 is current now" in str(caught.value)
        assert "airside bank log" in str(caught.value)


def test_folders_that_cannot_be_made_or_read(store: BankStore, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = store.load()[0]
    with pytest.raises(StorageError, match="making the folder"):
        BankStore("/proc/airside-bank").create(bank, "test", "no")
    denied = failing(errno.EACCES)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "iterdir", denied)
        for call in (lambda: store.load("1"), store.verify):
            with pytest.raises(StorageError, match=r"listing .*give this user rights"):
                call()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", denied)
        with pytest.raises(StorageError, match=r"reading .*HEAD failed .*give this user rights"):
            store.head_id()
    assert store.verify().ok


def test_two_writers_in_one_process_wait_for_each_other(store: BankStore) -> None:
    impatient = BankStore(store.path, lock_timeout_s=0.05)

    def update(bank: PrototypeBank) -> PrototypeBank:
        _add(impatient, "inner")
        return bank

    with pytest.raises(StorageError, match="another process"):
        store.commit(update, "test", "outer")
    assert store.head().number == 3


def test_a_writer_that_waited_builds_on_what_it_waited_for(store: BankStore) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def slow(bank: PrototypeBank) -> PrototypeBank:
        inside.set()
        go_on.wait(10.0)
        return _with_class(bank, "slow")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(store.commit, slow, "test", "slow")
        inside.wait(10.0)
        second = pool.submit(_add, store, "waited")
        time.sleep(0.1)  # long enough to reach the lock with an old HEAD in hand, were it read before
        go_on.set()
        assert store.load(second.result())[1].parent == first.result().id
    assert store.load()[0].names[-2:] == ("slow", "waited")


def test_paths_in_commands_are_quoted(tmp_path: Path) -> None:
    store = BankStore(tmp_path / "my bank")
    store.create(tiny_bank(np.random.default_rng(0)), "test", "first")
    with pytest.raises(UsageError, match=r"--bank '.*/my bank'"):
        store.load("9")
