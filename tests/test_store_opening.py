"""A workdir in S3, spoken to over its real protocol on this machine."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from faulty import Faulty, failing

from jft.checkpoint import Checkpointer
from jft.store.opening import open_workdir
from jft.store.remote import Remote, RemoteError
from jft.writers import read_json, read_metrics

pytest.importorskip("s3fs", reason="needs jft[s3]")
moto = pytest.importorskip("moto.server", reason="needs moto[server]")

pytestmark = [
  pytest.mark.s3,
  pytest.mark.xdist_group("s3"),
  pytest.mark.filterwarnings("ignore"),  # of botocore and aiohttp
]

TRAIN = """
import functools, os, signal, sys
import pytest, tiny
from jft import loop
source, workdir, kill_at = sys.argv[1:]
with pytest.MonkeyPatch.context() as patch:
  tiny.add_preset(patch)
  tiny.draw_nothing(patch)
  opened = functools.partial(loop.open_workdir, lease_secs=0.6, beat_secs=0.1)
  kept = []

  def keep(*args, **options):
    kept.append(opened(*args, **options))
    return kept[-1]

  patch.setattr(loop, "open_workdir", keep)
  original = loop.training_steps

  def steps(*args):
    for info in original(*args):
      if info.step == int(kill_at):
        print("ready", flush=True)
        sys.stdin.readline()
        os.kill(os.getpid(), signal.SIGKILL)
      yield info

  patch.setattr(loop, "training_steps", steps)
  loop.fit(tiny.recipe(source), workdir)
"""


@pytest.fixture(scope="module")
def bucket():
  server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
  server.start()
  host, port = server.get_host_and_port()
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    patch.setenv("AWS_ACCESS_KEY_ID", "any")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    import s3fs

    s3fs.S3FileSystem(skip_instance_cache=True).mkdir("bucket")
    yield "s3://bucket"
  server.stop()


@pytest.fixture(scope="module")
def source(tmp_path_factory):
  import tiny

  with pytest.MonkeyPatch.context() as patch:
    tiny.add_preset(patch)
    return tiny.write(tmp_path_factory.mktemp("weights"))


def test_of_two_that_create_an_object_one_does(bucket):
  store = Remote(f"{bucket}/create")
  assert store.create("a", b"one")
  assert not store.create("a", b"two")
  assert store.get("a") == b"one"
  assert store.get("b") is None


def test_an_upload_is_looked_at(bucket, tmp_path):
  path = tmp_path / "large"
  path.write_bytes(os.urandom(60 << 20))  # in parts: the tag is no MD5
  store = Remote(f"{bucket}/upload")
  store.upload(path, "x")
  again = tmp_path / "again"
  store.download("x", again)
  assert again.read_bytes() == path.read_bytes()


def test_a_bucket_that_is_not_there_is_told_at_once(bucket, tmp_path):
  with (
    pytest.raises(RemoteError, match="The specified bucket does not exist"),
    open_workdir("s3://no-such-bucket/run", scratch=tmp_path),
  ):
    pass


def test_checkpoints_come_back_bit_for_bit(bucket, tmp_path):
  from test_checkpoint import at, bits, make_state

  url = f"{bucket}/checkpoints"
  fs = Remote(url)._fs
  store = Remote(
    url,
    fs=Faulty(fs, failing(1, OSError("slow down"))),
    sleep=lambda secs: None,
  )
  saved = {step: at(step, make_state(seed=step)) for step in (1, 2, 3)}
  with open_workdir(url, scratch=tmp_path / "a", store=store) as work:
    (work.local / "run.json").write_text("{}")
    with Checkpointer(work.local / "checkpoints", best="a") as ckpt:
      for step, state in saved.items():
        ckpt.save(state, {"a": -abs(step - 2)}, good=True)
        work.push()
  with (
    open_workdir(url, scratch=tmp_path / "b") as work,
    Checkpointer(work.local / "checkpoints", best="a") as ckpt,
  ):
    assert (ckpt.all_steps(), ckpt.best_step, ckpt.good_step) == ([2, 3], 2, 3)
    for step in (2, 3):
      got = ckpt.restore(step, at(0, make_state(seed=9)))
      assert bits(got) == bits(saved[step])


def train(source, workdir, scratch, cache, kill_at=0):
  return subprocess.Popen(
    [sys.executable, "-c", TRAIN, str(source), str(workdir), str(kill_at)],
    env={
      **os.environ,
      "JFT_SCRATCH": str(scratch),
      "PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path]),
      "JAX_PLATFORMS": "cpu",
      "JAX_COMPILATION_CACHE_DIR": str(cache),
      "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1",
    },
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
  )


@pytest.mark.slow
def test_a_machine_that_vanishes_costs_nothing(bucket, source, tmp_path):
  url, cache = f"{bucket}/run", tmp_path / "cache"
  killed = train(source, url, tmp_path / "a", cache, kill_at=7)
  while (line := killed.stdout.readline()) != "ready\n":
    assert line
  store = Remote(url)
  wait_for(
    lambda: any(
      b"checkpoints/4/" in (store.get(name) or b"")
      for name in store.names("index")
    )
  )
  killed.communicate("\n", timeout=60)
  assert killed.returncode == -signal.SIGKILL
  other = train(source, url, tmp_path / "b", cache)
  other.communicate(timeout=120)
  assert other.returncode == 0
  straight = train(source, tmp_path / "straight", tmp_path, cache)
  straight.communicate(timeout=120)
  (local,) = [path for path in (tmp_path / "b").iterdir() if path.is_dir()]
  assert numbers(local) == numbers(tmp_path / "straight")
  a, b = (
    read_json(path / "summary.json") for path in (local, tmp_path / "straight")
  )
  assert (a["metrics"], a["status"]) == (b["metrics"], "completed")
  assert [
    r["step"] for r in read_metrics(local) if r.get("event") == "resumed"
  ] == [4]
  # A person finds the results without jft.
  assert store.get("summary.json") == (local / "summary.json").read_bytes()


def test_the_commands_take_a_bucket(
  bucket, source, tmp_path, tmp_path_factory, monkeypatch, capsys
):
  import tiny

  from jft.cli.main import main

  monkeypatch.setenv("JFT_SCRATCH", str(tmp_path / "scratch"))
  tiny.add_preset(monkeypatch)
  url = f"{bucket}/deep/cli"
  overrides = [f"--config.{text}" for text in tiny.overrides(source)]
  argv = ["train", "--config=default", f"--workdir={url}", *overrides]
  assert main(argv) == 0
  assert f"  report       {url}/report.html" in capsys.readouterr().out
  assert main(["evaluate", f"--workdir={url}", "--json"]) == 0
  assert json.loads(capsys.readouterr().out)["split"] == "test"
  assert main(["replay", url, "--steps=5"]) == 0
  assert capsys.readouterr().out.startswith("identical: 5 updates")
  assert main(["bisect", url, url]) == 0
  assert main(["evaluate", f"--workdir={bucket}/empty"]) == 2
  assert "empty is no run of jft" in capsys.readouterr().err


def wait_for(condition):
  end = time.monotonic() + 30
  while not condition():
    assert time.monotonic() < end
    time.sleep(0.05)


def numbers(workdir):
  """The numbers of the steps that count, without those of the clock."""
  rows = {}
  for row in read_metrics(workdir):
    if "event" not in row:
      clock = ("time", "attempt", "train/examples_per_sec")
      rows.setdefault(row["step"], {}).update(
        {k: v for k, v in row.items() if k not in clock}
      )
  return rows
