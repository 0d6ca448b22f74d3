"""A run's folder appears whole or not at all, and never replaces another."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from convkit.errors import ParameterError
from convkit.report.folders import check_free, new_folder


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


def test_it_is_not_there_before_the_end(tmp_path: Path) -> None:
    root = tmp_path / "deep" / "runs"
    with new_folder(root, "a", "digits") as place:
        (place.work / "x").write_text("1")
        assert not (root / "a").exists()
        assert place.final == root / "a"
    assert names(root) == ["a"]
    assert (root / "a" / "x").read_text() == "1"


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with new_folder(tmp_path, None, "digits") as place:
            (place.work / "x").write_text("1")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert names(tmp_path) == []


def test_runs_of_the_same_second_get_two_names(tmp_path: Path) -> None:
    for i in range(20):
        with new_folder(tmp_path, None, "digits") as place:
            (place.work / "x").write_text(str(i))
    assert {(tmp_path / name / "x").read_text() for name in names(tmp_path)} == {
        str(i) for i in range(20)
    }
    assert all(name.startswith("digits-20") for name in names(tmp_path))


def test_runs_at_the_same_time_do_not_meet(tmp_path: Path) -> None:
    barrier = threading.Barrier(8)

    def work(i: int) -> None:
        barrier.wait()
        with new_folder(tmp_path, None, "digits") as place:
            (place.work / "x").write_text(str(i))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {(tmp_path / name / "x").read_text() for name in names(tmp_path)} == set("01234567")


def test_a_taken_name_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_text("old")
    with pytest.raises(ParameterError) as caught, new_folder(tmp_path, "a", "digits"):
        pytest.fail("the block must not run")
    assert str(caught.value) == (
        f"--name (='a') must be new, but {tmp_path / 'a'} exists; choose another name"
    )
    assert (tmp_path / "a" / "x").read_text() == "old"


def test_a_name_taken_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    def overtaken() -> None:
        with new_folder(tmp_path, "a", "digits"):
            (tmp_path / "a").mkdir()
            (tmp_path / "a" / "x").write_text("other")

    with pytest.raises(FileExistsError):
        overtaken()
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a" / "x").read_text() == "other"


def test_a_name_that_another_run_is_writing_is_refused(tmp_path: Path) -> None:
    with (
        new_folder(tmp_path, "a", "digits"),
        pytest.raises(ParameterError, match="another run is writing"),
        new_folder(tmp_path, "a", "digits"),
    ):
        pytest.fail("the block must not run")
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "../a", "a b", "é", "x" * 101])
def test_only_plain_names_are_folders(tmp_path: Path, name: str) -> None:
    with pytest.raises(ParameterError) as caught:
        check_free(tmp_path, name)
    assert str(caught.value).startswith(f"--name (={name!r}) must be up to 100 letters")


@pytest.mark.parametrize(
    ("stem", "start"), [("my data", "my_data-20"), ("../..", "run-20"), ("a/b", "a_b-20")]
)
def test_a_stem_from_a_path_stays_in_its_folder(tmp_path: Path, stem: str, start: str) -> None:
    with new_folder(tmp_path, None, stem):
        pass
    (name,) = names(tmp_path)
    assert name.startswith(start)


def test_what_is_worth_keeping_outlives_an_error(tmp_path: Path) -> None:
    def failing() -> None:
        with new_folder(tmp_path, "a", "digits") as place:
            (place.work / "x").write_text("weights")
            place.worth_keeping = True
            raise RuntimeError

    with pytest.raises(RuntimeError):
        failing()
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a" / "x").read_text() == "weights"


def test_what_is_worth_keeping_stays_where_its_name_is_taken_meanwhile(tmp_path: Path) -> None:
    def overtaken() -> None:
        with new_folder(tmp_path, "a", "digits") as place:
            (place.work / "x").write_text("weights")
            place.worth_keeping = True
            (tmp_path / "a").mkdir()
            (tmp_path / "a" / "x").write_text("other")

    with pytest.raises(ParameterError, match=r"the run's files are in .*\.a\.partial"):
        overtaken()
    assert (tmp_path / "a" / "x").read_text() == "other"
    assert (tmp_path / ".a.partial" / "x").read_text() == "weights"
