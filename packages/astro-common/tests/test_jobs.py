from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
from multiprocessing import active_children
from pathlib import Path

import psutil
import pytest

from astro_common.errors import AstroError, ConfigurationError, InputError, OutputError
from astro_common.jobs import Failure, FailureFile, run_units
from astro_common.jobs import processes as local_processes

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def job_units():
    """The units of job_units.py, importable here and in worker processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(HERE)
        import job_units

        yield job_units


@pytest.fixture(scope="module")
def cluster(job_units):
    """A Dask cluster of one process with two threads; a process that dies is replaced."""
    dask = pytest.importorskip("dask")
    distributed = pytest.importorskip("distributed")
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(
            n_workers=1,
            threads_per_worker=2,
            processes=True,
            dashboard_address=":0",
            silence_logs=logging.CRITICAL,
        ) as made,
    ):
        yield made.scheduler_address


@pytest.fixture(params=["here", "processes", "cluster"])
def where(request):
    """The options of run_units for each place where units can run."""
    if request.param == "cluster":
        return {"scheduler": request.getfixturevalue("cluster")}
    return {"workers": 2 if request.param == "processes" else 1}


@pytest.fixture
def list_of_failures(tmp_path):
    return tmp_path / "failures.jsonl"


def _entries(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_results_come_to_the_parent(job_units, where):
    results = {}
    units = {f"u{i}": i for i in range(7)}
    outcome = run_units(job_units.double, units, on_done=results.__setitem__, **where)
    assert results == {name: 2 * value for name, value in units.items()}
    assert sorted(outcome.done) == list(units)
    assert outcome.skipped == outcome.failed == []


def test_no_units(job_units, where):
    outcome = run_units(job_units.double, {}, **where)
    assert outcome.done == outcome.skipped == outcome.failed == []


def test_failure_of_a_unit_is_its_own(job_units, where, list_of_failures):
    kinds = ["good", "bad file", "no file", "bug", "exit", "better"]
    outcome = run_units(
        job_units.chosen, {kind: kind for kind in kinds}, failures=list_of_failures, **where
    )
    assert sorted(outcome.done) == ["better", "good"]
    expected = {
        Failure("bad file", "a.fits", "no END; expected a header"),
        Failure(
            "no file",
            "b.fits",
            "FileNotFoundError: [Errno 2] No such file or directory: 'b.fits'",
        ),
        Failure("bug", None, "ZeroDivisionError: two lines"),
        Failure("exit", None, "SystemExit: 7"),
    }
    assert set(outcome.failed) == expected
    assert {
        Failure(entry["field"], entry["file"], entry["reason"])
        for entry in _entries(list_of_failures)
    } == expected


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("killed", "its worker process was killed by SIGKILL (out of memory?)"),
        ("crash", "its worker process was killed by SIGSEGV"),
        ("leave", "its worker process ended with exit status 9"),
    ],
)
def test_process_that_dies_takes_its_own_unit_alone(job_units, kind, reason):
    units = {"u0": 0, "dies": kind, "u1": 1, "u2": 2, "u3": 3, "u4": 4}
    outcome = run_units(job_units.chosen, units, workers=2)
    assert sorted(outcome.done) == ["u0", "u1", "u2", "u3", "u4"]
    assert outcome.failed == [Failure("dies", None, reason)]


def test_every_process_may_die(job_units):
    units = {f"u{i}": "leave" for i in range(5)}
    outcome = run_units(job_units.chosen, units, workers=2)
    assert sorted(failure.unit for failure in outcome.failed) == list(units)


def test_worker_of_a_cluster_that_dies(job_units, cluster):
    units = {"u0": 0, "dies": "killed"}
    outcome = run_units(job_units.chosen, units, scheduler=cluster)
    assert "dies" in {failure.unit for failure in outcome.failed}
    assert "every worker of the cluster that tried it died" in outcome.failed[0].reason
    # The cluster goes on with a fresh worker.
    assert run_units(job_units.chosen, {"u1": 1}, scheduler=cluster).done == ["u1"]


def test_process_that_dies_between_units_is_replaced(job_units):
    """Nobody's fault: the unit that it would have got runs in a fresh process."""
    found = {}

    def on_done(name, value):
        found[name] = value[0]
        (process,) = (child for child in active_children() if child.pid == value[0])
        process.kill()
        process.join()

    units = {f"u{i}": i for i in range(6)}
    outcome = run_units(job_units.surroundings, units, workers=2, on_done=on_done)
    assert outcome.failed == []
    assert len(set(found.values())) == 6


def test_process_that_cannot_start_fails_its_units(job_units, tmp_path):
    """A program without a main guard runs itself again in each worker, which refuses."""
    script = tmp_path / "unguarded.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import sys
            sys.path.insert(0, {str(HERE)!r})
            import job_units
            from astro_common.jobs import run_units
            units = {{"a": "x" * 10_000_000, "b": "y"}}
            for failure in run_units(job_units.double, units, workers=2).failed:
                print(failure.unit, failure.reason)
            """
        )
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=True, timeout=120
    )
    lines = sorted(done.stdout.splitlines())
    assert lines == [f"{unit} its worker process ended with exit status 1" for unit in "ab"]


def test_result_or_argument_that_cannot_be_sent(job_units):
    units = {"u0": 0, "result": "unsendable", "argument": lambda: None, "u1": 1}
    outcome = run_units(job_units.chosen, units, workers=2)
    assert sorted(outcome.done) == ["u0", "u1"]
    assert sorted(failure.unit for failure in outcome.failed) == ["argument", "result"]
    assert all("pickle" in failure.reason for failure in outcome.failed)


@pytest.mark.parametrize("where", ["processes", "cluster"], indirect=True)
def test_result_that_cannot_be_rebuilt_here(job_units, where, monkeypatch):
    monkeypatch.setattr(job_units, "REBUILDS", False)
    units = {"u0": 0, "result": "stubborn", "u1": 1, "u2": 2, "u3": 3}
    outcome = run_units(job_units.chosen, units, **where)
    assert sorted(outcome.done) == ["u0", "u1", "u2", "u3"]
    assert outcome.failed == [Failure("result", None, "ValueError: cannot be rebuilt")]


def test_workers_run_side_by_side_and_share_the_processors(job_units, tmp_path, monkeypatch):
    for name in local_processes._THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    pids = {}
    units = {"a": (str(tmp_path), "a", "b"), "b": (str(tmp_path), "b", "a")}
    outcome = run_units(job_units.meet, units, workers=2, on_done=pids.__setitem__)
    assert outcome.failed == []
    assert len({os.getpid(), *pids.values()}) == 3
    found = {}
    run_units(job_units.surroundings, {"a": 0, "b": 0}, workers=2, on_done=found.__setitem__)
    share = max(1, local_processes._usable_cpus() // 2)
    assert {(cpus, text) for _, cpus, text in found.values()} == {(share, str(share))}
    assert "OMP_NUM_THREADS" not in os.environ


def test_level_of_a_librarys_own_logger_does_not_keep_the_library_from_its_import(job_units):
    """astropy's logger has a class of its own, and a level."""
    import astropy

    found = {}
    outcome = run_units(
        job_units.import_astropy, {"a": 0, "b": 0}, workers=2, on_done=found.__setitem__
    )
    assert outcome.failed == []
    assert set(found.values()) == {astropy.__version__}


def test_threads_that_the_user_set_stay(job_units, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    found = {}
    run_units(job_units.surroundings, {"a": 0, "b": 0}, workers=2, on_done=found.__setitem__)
    assert {(cpus, text) for _, cpus, text in found.values()} == {(3, "3")}


def test_units_start_when_there_is_room(job_units, where):
    """Thousands of arguments must never be made, and lie about, at once."""
    units = {f"u{i}": i for i in range(40)}
    asked, ended = [], []
    most = 0

    def is_done(name):
        nonlocal most
        asked.append(name)
        most = max(most, len(asked) - len(ended))
        return False

    run_units(
        job_units.double, units, is_done=is_done, on_done=lambda *end: ended.append(end), **where
    )
    assert asked == list(units)
    assert most <= 6


def test_done_units_are_skipped(job_units, where):
    outcome = run_units(
        job_units.chosen,
        {"u0": 0, "u1": "bug", "u2": 2},
        is_done=lambda name: name == "u1",
        **where,
    )
    assert outcome.skipped == ["u1"]
    assert sorted(outcome.done) == ["u0", "u2"]
    assert outcome.failed == []


def test_unit_whose_check_fails_is_a_failure(job_units, list_of_failures):
    def is_done(name):
        if name == "u1":
            raise InputError("old.parquet", "damaged")
        return False

    outcome = run_units(
        job_units.double, {"u0": 0, "u1": 1}, is_done=is_done, failures=list_of_failures
    )
    assert outcome.done == ["u0"]
    assert outcome.failed == [Failure("u1", "old.parquet", "damaged")]
    assert len(_entries(list_of_failures)) == 1


def test_error_of_the_callback_ends_the_run(job_units, where):
    def on_done(_name, _value):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_units(job_units.double, {"a": 1, "b": 2, "c": 3}, on_done=on_done, **where)


def test_messages_of_workers_are_shown(job_units, where, caplog):
    with caplog.at_level(logging.WARNING):
        run_units(job_units.chosen, {"u0": "first", "u1": "second"}, **where)
    texts = [record.getMessage() for record in caplog.records if record.name.endswith("test_units")]
    assert sorted(texts) == ["unit first", "unit second"]


def test_messages_below_the_level_are_not_shown(job_units, caplog):
    with caplog.at_level(logging.ERROR):
        run_units(job_units.chosen, {"u0": "first", "u1": "second"}, workers=2)
    assert caplog.records == []


def test_failure_is_logged_and_its_traceback_at_debug(job_units, where, caplog):
    with caplog.at_level(logging.DEBUG, logger="astro_common"):
        run_units(job_units.chosen, {"u0": "bug"}, describe="plate", **where)
    shown = {
        record.levelno: record.getMessage()
        for record in caplog.records
        if record.name == "astro_common.jobs.run"
    }
    assert shown[logging.ERROR] == "plate u0 failed: ZeroDivisionError: two lines"
    assert "Traceback" in shown[logging.DEBUG]
    assert "job_units.py" in shown[logging.DEBUG]


@pytest.mark.parametrize("workers", [0, -1])
def test_number_of_workers(job_units, workers):
    with pytest.raises(ConfigurationError, match="--workers"):
        run_units(job_units.double, {}, workers=workers)


def test_workers_and_a_scheduler(job_units):
    with pytest.raises(ConfigurationError, match="one of the two"):
        run_units(job_units.double, {}, workers=2, scheduler="tcp://127.0.0.1:1")


def test_function_that_the_cluster_does_not_have(cluster, tmp_path, monkeypatch):
    (tmp_path / "only_here.py").write_text("def double(value):\n    return 2 * value\n")
    monkeypatch.syspath_prepend(tmp_path)
    import only_here

    outcome = run_units(only_here.double, {"a": 1, "b": 2}, scheduler=cluster)
    assert {failure.reason for failure in outcome.failed} == {
        "ModuleNotFoundError: No module named 'only_here'"
    }
    assert len(outcome.failed) == 2


def test_task_opens_nothing_before_it_runs(job_units):
    """A worker without this package must be able to report that, not fail to take the task."""
    cloudpickle = pytest.importorskip("cloudpickle")
    from astro_common.jobs.cluster import _packed

    task, payload = _packed(job_units.double, 4)
    assert task(payload)[0].value == 8
    code = textwrap.dedent(
        """
        import sys
        import cloudpickle
        sys.modules["astro_common"] = None
        task = cloudpickle.loads(sys.stdin.buffer.read())
        try:
            task(b"")
        except ImportError as error:
            print(error.name)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=cloudpickle.dumps(task), capture_output=True, check=True
    )
    assert done.stdout.decode().strip().startswith("astro_common")


def test_cluster_without_workers_is_said_to_have_none(job_units, caplog):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=0,
        threads_per_worker=1,
        processes=False,
        dashboard_address=":0",
        silence_logs=logging.CRITICAL,
    ) as cluster:
        cluster.loop.call_later(0.5, cluster.scale, 1)
        outcome = run_units(job_units.double, {"a": 1}, scheduler=cluster.scheduler_address)
    assert outcome.done == ["a"]
    assert "has no workers yet; waiting for one" in caplog.text


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense://x", "no address"])
def test_scheduler_that_does_not_answer(job_units, monkeypatch, address):
    monkeypatch.setattr("astro_common.jobs.cluster.CONNECT_TIMEOUT_S", 0.5)
    with pytest.raises(ConfigurationError, match="no Dask scheduler answers") as caught:
        run_units(job_units.double, {"a": 1}, scheduler=address)
    assert address in str(caught.value)


def test_distributed_is_not_installed(job_units, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigurationError, match="distributed is not installed"):
        run_units(job_units.double, {"a": 1}, scheduler="tcp://127.0.0.1:1")


def test_scheduler_that_goes_away(job_units, monkeypatch, capfd):
    monkeypatch.setattr("astro_common.jobs.cluster.CONNECT_TIMEOUT_S", 1.0)
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        dashboard_address=":0",
        silence_logs=logging.CRITICAL,
    ) as cluster:
        units = {f"u{i}": i for i in range(100)}
        with pytest.raises(AstroError, match="the Dask scheduler has gone"):
            run_units(
                job_units.double,
                units,
                scheduler=cluster.scheduler_address,
                on_done=lambda *_: cluster.close(),
                progress=False,
            )
    assert capfd.readouterr().err == ""


class TestFailureFile:
    def test_life(self, job_units, list_of_failures):
        units = {"a": "bug", "b": "bad file", "c": "good"}
        run_units(job_units.chosen, units, failures=list_of_failures)
        assert _entries(list_of_failures) == [
            {"field": "a", "file": None, "reason": "ZeroDivisionError: two lines"},
            {"field": "b", "file": "a.fits", "reason": "no END; expected a header"},
        ]
        run_units(job_units.chosen, {"a": "good"}, failures=list_of_failures)
        assert [entry["field"] for entry in _entries(list_of_failures)] == ["b"]
        run_units(job_units.chosen, {"b": "good"}, failures=list_of_failures)
        assert not list_of_failures.exists()
        assert list(list_of_failures.parent.iterdir()) == []

    def test_unit_done_meanwhile_is_forgotten(self, job_units, list_of_failures):
        FailureFile(list_of_failures).add(Failure("a", None, "x"))
        run_units(job_units.double, {"a": 1}, failures=list_of_failures, is_done=lambda _: True)
        assert not list_of_failures.exists()

    def test_it_is_there_as_soon_as_a_unit_fails(self, job_units, list_of_failures):
        seen = []
        run_units(
            job_units.chosen,
            {"a": "bug", "b": "good"},
            failures=list_of_failures,
            on_done=lambda *_: seen.append(_entries(list_of_failures)[0]["field"]),
        )
        assert seen == ["a"]

    def test_entries_of_other_units_stay_as_they_are(self, list_of_failures):
        other = {"field": "z", "file": None, "reason": "r", "note": "by hand"}
        list_of_failures.write_text(json.dumps(other) + "\n")
        file = FailureFile(list_of_failures)
        file.add(Failure("a", "f", "first"))
        file.add(Failure("a", "f", "second"))
        assert _entries(list_of_failures) == [
            other,
            {"field": "a", "file": "f", "reason": "second"},
        ]
        assert file.units == ["z", "a"]

    def test_two_runs_at_the_same_time_keep_each_other(self, list_of_failures):
        one, two = FailureFile(list_of_failures), FailureFile(list_of_failures)
        one.add(Failure("a", None, "x"))
        two.add(Failure("b", None, "y"))
        one.discard("a")
        assert [entry["field"] for entry in _entries(list_of_failures)] == ["b"]

    def test_key_of_the_unit(self, list_of_failures):
        FailureFile(list_of_failures, "plate").add(Failure("7443", None, "x"))
        assert _entries(list_of_failures) == [{"plate": "7443", "file": None, "reason": "x"}]

    @pytest.mark.parametrize("key", ["file", "reason"])
    def test_key_of_something_else(self, list_of_failures, key):
        with pytest.raises(ValueError, match=key):
            FailureFile(list_of_failures, key)

    def test_lines_that_are_not_failures_are_dropped(self, list_of_failures, caplog):
        list_of_failures.write_text('{"field": "a", "file": null, "reason": "x"}\n[1]\n{"fi\n\n')
        file = FailureFile(list_of_failures)
        assert file.units == ["a"]
        assert "line 2 is not a failure" in caplog.text
        assert "line 3 is not a failure" in caplog.text

    def test_names_that_are_not_utf8(self, list_of_failures):
        FailureFile(list_of_failures).add(Failure("a", os.fsdecode(b"\xff.fits"), "x"))
        assert FailureFile(list_of_failures).units == ["a"]

    def test_names_with_the_line_breaks_of_unicode(self, list_of_failures):
        names = ["a\u2028b", "c\x85", "d\x0c"]
        for name in names:
            FailureFile(list_of_failures).add(Failure(name, None, "x"))
        assert FailureFile(list_of_failures).units == names

    def test_folder_in_its_place(self, tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            FailureFile(tmp_path)

    def test_folder_that_is_not_there(self, tmp_path):
        file = FailureFile(tmp_path / "none" / "failures.jsonl")
        file.discard("a")
        with pytest.raises(OutputError, match="create the folder"):
            file.add(Failure("a", None, "x"))

    def test_interrupted_run_keeps_what_it_has_not_redone(self, job_units, list_of_failures):
        FailureFile(list_of_failures).add(Failure("b", None, "old"))

        def on_done(_name, _value):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run_units(
                job_units.double, {"a": 1, "b": 2}, failures=list_of_failures, on_done=on_done
            )
        assert [entry["field"] for entry in _entries(list_of_failures)] == ["b"]


class TestProgress:
    def _run(self, job_units, monkeypatch, terminal, **options):
        monkeypatch.setattr("sys.stderr.isatty", lambda: terminal, raising=False)
        monkeypatch.setattr("astro_common.jobs.progress.LINE_EVERY_S", 0.0)
        units = {"a": "good", "b": "bug", "c": "good"}
        return run_units(job_units.chosen, units, describe="plate", **options)

    def test_bar_on_a_terminal(self, job_units, monkeypatch, capsys, caplog):
        caplog.set_level(logging.INFO, logger="astro_common")
        self._run(job_units, monkeypatch, terminal=True)
        out, err = capsys.readouterr()
        assert out == ""
        assert "3/3" in err
        assert "1 failed" in err

    def test_lines_elsewhere(self, job_units, monkeypatch, capsys, caplog):
        caplog.set_level(logging.INFO, logger="astro_common")
        self._run(job_units, monkeypatch, terminal=False)
        assert "3/3" not in capsys.readouterr().err
        assert "2 of 3 plate units ended, 1 failed, about 0 min to go" in caplog.text

    @pytest.mark.parametrize(("level", "progress"), [("ERROR", True), ("INFO", False)])
    def test_nothing_when_quiet(self, job_units, monkeypatch, capsys, caplog, level, progress):
        caplog.set_level(level, logger="astro_common")
        self._run(job_units, monkeypatch, terminal=True, progress=progress)
        assert "3/3" not in capsys.readouterr().err
        assert "units ended" not in caplog.text


_PROGRAM = """
import argparse, sys
sys.path.insert(0, sys.argv[1])
import job_units
from astro_common.command import run_command
from astro_common.jobs import run_units

def run(arguments):
    units = {name: f"{arguments.folder}/{name}" for name in ("a", "b", "c")}
    function = getattr(job_units, arguments.function)
    run_units(function, units, workers=arguments.workers, progress=False)
    return 0

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="some-tool")
    parser.add_argument("tests")
    parser.add_argument("folder")
    parser.add_argument("function")
    parser.add_argument("workers", type=int)
    parser.set_defaults(run=run)
    sys.exit(run_command(parser))
"""


class TestInterruption:
    """A real program, with two units at work, is interrupted from outside."""

    @pytest.fixture
    def start(self, tmp_path):
        folder = tmp_path / "out"
        folder.mkdir()
        script = tmp_path / "program.py"
        script.write_text(textwrap.dedent(_PROGRAM))
        started = []

        def start(function="write_slowly", workers=2):
            process = subprocess.Popen(
                [sys.executable, str(script), str(HERE), str(folder), function, str(workers)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            started.append(process)
            pids = []
            for name in ("a", "b")[:workers]:
                file = folder / f"{name}.pid"
                while not (file.exists() and file.read_text()):
                    assert process.poll() is None, process.communicate()
                    time.sleep(0.02)
                pids.append(int(file.read_text()))
                file.unlink()
            return process, folder, pids

        yield start
        for process in started:
            process.kill()
            process.communicate()

    @staticmethod
    def _gone(pids):
        """Whether no such process works any more; a moment is theirs to end."""
        alive = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
        _, left = psutil.wait_procs(alive, timeout=60)
        return left == []

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    @pytest.mark.parametrize("workers", [1, 2])
    def test_signal_to_the_program(self, start, number, workers):
        process, folder, pids = start(workers=workers)
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 130
        assert out == ""
        assert err == "some-tool: interrupted\n"
        assert self._gone(pids)
        assert list(folder.iterdir()) == []

    def test_ctrl_c_reaches_all_processes(self, start):
        process, folder, pids = start()
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=120)
        assert process.returncode == 130
        assert err == "some-tool: interrupted\n"
        assert self._gone(pids)
        assert list(folder.iterdir()) == []

    def test_worker_that_does_not_listen_is_killed(self, start):
        process, folder, pids = start("write_slowly_and_refuse_to_end")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=120)
        assert process.returncode == 130
        assert err == "some-tool: interrupted\n"
        assert self._gone(pids)
        assert all(path.name.endswith(".partial") for path in folder.iterdir())

    def test_workers_do_not_outlive_a_killed_program(self, start):
        process, _, pids = start()
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=120)
        assert self._gone(pids)


def test_sigterm_unwinds_without_a_command(job_units, tmp_path):
    code = textwrap.dedent(
        """
        import os, signal, sys
        sys.path.insert(0, sys.argv[1])
        from astro_common.jobs import run_units
        try:
            run_units(lambda _: os.kill(os.getpid(), signal.SIGTERM), {"a": 1})
        except KeyboardInterrupt:
            print("interrupted", signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(HERE)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "interrupted True\n"
