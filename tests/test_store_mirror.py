"""A run in an object store: whole after a kill at any request."""

import errno
import json
import logging
import pathlib
import threading
import uuid

import fsspec
import pytest
from faulty import Faulty, Killed, at, failing

from jft.disk import manifest
from jft.errors import UserError
from jft.store import opening
from jft.store.ledger import TakenError
from jft.store.mirror import FILES, VIEWS, Mirror
from jft.store.opening import open_workdir
from jft.store.remote import Remote, RemoteError

BUSY = OSError(errno.EBUSY, "slow down")


@pytest.fixture
def url():
  return f"memory://bucket-{uuid.uuid4().hex}/run"


@pytest.fixture
def memory():
  return fsspec.filesystem("memory")


def opened(url, scratch, fs=None, *, sleep=None, **options):
  """`open_workdir` without waiting, and without signs of its own."""
  pauses = []
  store = Remote(url, fs=fs, patience_secs=1e6, sleep=sleep or pauses.append)
  options = {"beat_secs": 3600.0, "sleep": pauses.append, **options}
  return open_workdir(url, scratch=scratch, store=store, **options)


def begun(url, scratch, fs=None):
  """The same for a process that will be killed: nothing is closed."""
  local = scratch / opening._folder_name(url)
  local.parent.mkdir(exist_ok=True)
  store = Remote(url, fs=fs, patience_secs=1e6, sleep=lambda secs: None)
  mirror = Mirror(store, local, 3600.0, {"sleep": lambda secs: None})
  return opening.Opened(local, mirror)


def write(local, step, text="x"):
  """Makes a folder look as a run does after it saved a step."""
  (local / "run.json").write_text('{"config": {}}')
  with (local / "metrics.jsonl").open("a") as file:
    file.write(json.dumps({"step": step}) + "\n")
  folder = local / "checkpoints" / str(step)
  (folder / "state" / "d").mkdir(parents=True)
  (folder / "state" / "d" / f"data-{step}").write_text(text * 100)
  manifest.write(folder)
  (local / "checkpoints" / "marks.json").write_text(json.dumps({"good": step}))


def drop(local, step):
  folder = local / "checkpoints" / str(step)
  for path in sorted(folder.rglob("*"), reverse=True):
    path.rmdir() if path.is_dir() else path.unlink()
  folder.rmdir()


def content(folder):
  return {
    path.relative_to(folder).as_posix(): path.read_bytes()
    for path in sorted(pathlib.Path(folder).rglob("*"))
    if path.is_file()
  }


def pulled(url, scratch):
  with opened(url, scratch) as work:
    return content(work.local)


def objects(memory, url):
  root = url.removeprefix("memory:/")
  return sorted(name.removeprefix(f"{root}/") for name in memory.find(root))


def test_a_local_folder_is_itself(tmp_path):
  with open_workdir(tmp_path / "run") as work:
    work.push()
    assert (work.local, work.mirror) == (tmp_path / "run", None)


def test_another_machine_gets_what_was_pushed(url, tmp_path):
  with opened(url, tmp_path / "a") as work:
    write(work.local, 10)
    work.mirror.push_now()
    write(work.local, 20)
    drop(work.local, 10)
    left = content(work.local)
  assert pulled(url, tmp_path / "b") == left
  assert set(left) == {
    "run.json",
    "metrics.jsonl",
    "checkpoints/marks.json",
    "checkpoints/20/manifest.json",
    "checkpoints/20/state/d/data-20",
  }


def test_nothing_is_kept_that_no_index_names(url, memory, tmp_path):
  with opened(url, tmp_path / "a") as work:
    for step in (10, 20, 30):
      write(work.local, step)
      work.mirror.push_now()
      drop(work.local, step)
    write(work.local, 40)
  found = objects(memory, url)
  *_, index = [name for name in found if name.startswith("index/")]
  root = url.removeprefix("memory:/")
  files = json.loads(memory.cat_file(f"{root}/{index}"))["files"]
  assert {n for n in found if n.startswith(f"{FILES}/")} == {
    row["object"] for row in files.values()
  }
  rest = {n for n in found if not n.startswith(f"{FILES}/")}
  assert rest == {index, "alive.json", "run.json", "metrics.jsonl"}
  assert rest - {index, "alive.json"} <= set(VIEWS)


def test_an_equal_file_is_uploaded_once(url, memory, tmp_path):
  fs = Faulty(memory)
  with opened(url, tmp_path / "a", fs) as work:
    write(work.local, 10)
    work.mirror.push_now()
    before = fs.requests.count("put_file")
    work.mirror.push_now()
    assert fs.requests.count("put_file") == before == 7  # 5 files, 2 views
    (work.local / "run.json").write_text('{"config": {}}')  # the same again
    work.mirror.push_now()
    assert fs.requests.count("put_file") == before


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_kill_at_any_request_leaves_a_whole_run(url, memory, tmp_path, after):
  kills, done = 0, False
  seen = set()
  while not done:
    place = f"{url}-{kills}"
    fs = Faulty(memory, after=after)
    work = begun(place, tmp_path / f"a{kills}", fs)
    write(work.local, 10)
    work.mirror.push_now()
    old = content(work.local)
    write(work.local, 20, "y")
    drop(work.local, 10)
    new = content(work.local)
    fs.plan = at(len(fs.requests) + kills, Killed())
    try:
      work.mirror.push_now()
      done = True
    except Killed:
      kills += 1
    got = pulled(place, tmp_path / f"b{kills}")
    assert got in (old, new)
    seen.add(got == new)
    # What was cut short is swept away by whoever goes on.
    assert len([n for n in objects(memory, place) if n[:5] == FILES]) == len(
      got
    )
  assert seen == {True, False}
  assert kills > 15


def test_what_fails_for_a_while_goes_through(url, memory, tmp_path):
  pauses = []
  fs = Faulty(memory, failing(3, BUSY))
  with opened(url, tmp_path / "a", fs, sleep=pauses.append) as work:
    write(work.local, 10)
    left = content(work.local)
  assert pulled(url, tmp_path / "b") == left
  first, second, third = pauses[:3]
  assert 0.25 <= first <= 0.5 <= second <= 1.0 <= third <= 2.0
  assert len(pauses) > 30


@pytest.mark.parametrize(
  "error",
  [
    BUSY,
    ConnectionResetError("reset"),
    TimeoutError("timed out"),
    type("HttpError", (Exception,), {"code": 503})("unavailable"),
    type("HttpError", (Exception,), {"code": 429})("too many"),
  ],
  ids=["busy", "reset", "timeout", "503", "429"],
)
def test_a_lost_answer_is_no_other_run(url, memory, tmp_path, error):
  fs = Faulty(memory, failing(1, error), after=True)
  with opened(url, tmp_path / "a", fs) as work:
    write(work.local, 10)
    left = content(work.local)
  assert pulled(url, tmp_path / "b") == left


@pytest.mark.parametrize(
  "error",
  [
    PermissionError("Access Denied"),
    type("HttpError", (Exception,), {"code": 401})("Invalid Credentials"),
    type("NoCredentialsError", (Exception,), {})("no credentials"),
  ],
  ids=["denied", "401", "none"],
)
def test_what_lasts_is_told_once_and_the_folder_is_whole(
  url, memory, tmp_path, error
):
  pauses = []
  fs = Faulty(memory)
  work = begun(url, tmp_path / "a", fs)
  write(work.local, 10)
  left = content(work.local)
  work.mirror._store._sleep = pauses.append
  fs.plan = at(0, error)
  with pytest.raises(RemoteError, match="could not write") as raised:
    work.mirror.__enter__().close()
  assert pauses == []
  assert url in str(raised.value)
  assert f"The run is whole in {work.local}." in str(raised.value)
  assert content(work.local) == left
  # The same machine goes on, and loses nothing.
  with opened(url, tmp_path / "a") as again:
    assert content(again.local) == left
  assert pulled(url, tmp_path / "b") == left


def test_a_store_that_is_down_at_the_start_stops_the_run(url, memory, tmp_path):
  fs = Faulty(memory, at(0, PermissionError("Access Denied")))
  with pytest.raises(UserError, match="could not list"):
    opened(url, tmp_path / "a", fs).__enter__()


def test_a_store_that_stays_down_is_given_up(url, memory, tmp_path):
  fs = Faulty(memory, at(0, BUSY))
  store = Remote(url, fs=fs, patience_secs=0.0)
  with pytest.raises(RemoteError, match="after 0 seconds of trying"):
    store.put("a", b"")


def test_a_push_in_the_background_is_tried_again(url, memory, tmp_path, caplog):
  fs = Faulty(memory)
  with opened(url, tmp_path / "a", fs) as work:
    write(work.local, 10)
    told = threading.Event()
    handler = logging.Handler()
    handler.emit = lambda record: told.set()
    logging.getLogger("jft.store.mirror").addHandler(handler)
    fs.plan = at(0, PermissionError("for now"))
    work.push()
    assert told.wait(10)
    logging.getLogger("jft.store.mirror").removeHandler(handler)
    fs.plan = None
    work.push()  # the training goes on
    left = content(work.local)
  assert "The next save tries again" in caplog.text
  assert pulled(url, tmp_path / "b") == left


def test_a_run_that_gives_signs_is_left_alone(url, tmp_path):
  with opened(url, tmp_path / "a") as work:
    write(work.local, 10)
    work.mirror.push_now()
    left = content(work.local)

    def owner_lives(secs):
      work.mirror._ledger.beat()

    other = open_workdir(
      url, scratch=tmp_path / "b", store=Remote(url), sleep=owner_lives
    )
    with pytest.raises(TakenError, match="is in use by process"):
      other.__enter__()
    work.mirror.push_now()
  assert pulled(url, tmp_path / "c") == left


def test_of_two_owners_the_first_stops_and_spoils_nothing(url, tmp_path):
  first = begun(url, tmp_path / "a")
  write(first.local, 10)
  first.mirror.push_now()
  # No signs for so long: taken for dead.
  with opened(url, tmp_path / "b") as second:
    write(second.local, 20)
    second.mirror.push_now()
    write(first.local, 30)
    mine = content(first.local)
    with pytest.raises(TakenError, match="was taken over by process"):
      first.mirror.push_now()
    left = content(second.local)
  with pytest.raises(TakenError, match="The run is whole in"), first.mirror:
    pass
  assert content(first.local) == mine
  assert pulled(url, tmp_path / "c") == left


def test_a_machine_that_comes_back_takes_the_newer_run(url, tmp_path):
  with opened(url, tmp_path / "a") as work:
    write(work.local, 10)
    old = content(work.local)
  with opened(url, tmp_path / "b") as work:
    write(work.local, 20)
    new = content(work.local)
  with opened(url, tmp_path / "a") as work:
    assert content(work.local) == new
    assert content(f"{work.local}.old") == old


def test_what_a_kill_left_unpushed_is_gone_on_with(url, tmp_path):
  work = begun(url, tmp_path / "a")
  write(work.local, 10)
  work.mirror.push_now()
  write(work.local, 20)
  left = content(work.local)
  waited = []
  with opened(url, tmp_path / "a", sleep=waited.append) as again:
    assert content(again.local) == left
  assert waited == []  # nobody else can own this folder
  assert pulled(url, tmp_path / "b") == left


def test_only_what_is_complete_is_pushed(url, tmp_path):
  with opened(url, tmp_path / "a") as work:
    write(work.local, 10)
    left = content(work.local)
    steps = work.local / "checkpoints"
    (steps / "20.orbax-checkpoint-tmp").mkdir()
    (steps / "20.orbax-checkpoint-tmp" / "half").write_text("x")
    (work.local / ".run.json.1.partial").write_text("x")
    write(work.local, 5)  # a step that is being deleted
    (steps / "5" / "state" / "d" / "data-5").unlink()
    (steps / "marks.json").write_bytes(left["checkpoints/marks.json"])
    (work.local / "metrics.jsonl").write_bytes(left["metrics.jsonl"])
    work.mirror.push_now()
    assert pulled_beside(url, work, tmp_path / "b") == left


def pulled_beside(url, work, scratch):
  """What another machine would get now, if this one were gone."""
  from jft.store.pull import pull

  local = scratch / "run"
  local.parent.mkdir()
  pull(Remote(url), work.mirror._ledger.newest(), local)
  return content(local)


def test_a_damaged_object_is_left_out(url, memory, tmp_path, caplog):
  with opened(url, tmp_path / "a") as work:
    write(work.local, 10)
    write(work.local, 20)
  root = url.removeprefix("memory:/")
  (name,) = [n for n in memory.find(root) if "data-20" in n]
  data = bytearray(memory.cat_file(name))
  data[7] ^= 1
  memory.pipe_file(name, bytes(data))
  got = pulled(url, tmp_path / "b")
  assert "checkpoints/20/state/d/data-20" not in got
  assert "is damaged; left out" in caplog.text
  folder = next((tmp_path / "b").iterdir())
  folder = next(p for p in (tmp_path / "b").iterdir() if p.is_dir())
  assert manifest.problems(folder / "checkpoints" / "20") == [
    "state/d/data-20 is missing"
  ]
  assert manifest.problems(folder / "checkpoints" / "10") == []


def test_a_package_that_is_missing_is_named(monkeypatch):
  import importlib

  def missing(name):
    raise ImportError(name)

  monkeypatch.setattr(importlib, "import_module", missing)
  with pytest.raises(UserError, match=r'pip install "jft\[s3\]"'):
    Remote("s3://bucket/run")
