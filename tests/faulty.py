"""An fsspec file system whose requests fail as a test says."""

import threading


class Killed(BaseException):
  """The process ends here."""


class Faulty:
  """Passes on to `fs`; `plan(count, name, args)` may raise before a request.

  Args:
    fs: the file system.
    plan: called with how many requests came before, and the request.
    after: raise when the request was carried out, its answer lost.
  """

  def __init__(self, fs, plan=None, *, after=False):
    self._fs, self.plan, self._after = fs, plan, after
    self.requests = []
    self._lock = threading.Lock()

  def __getattr__(self, name):
    method = getattr(self._fs, name)
    if name.startswith("_"):
      return method

    def call(*args, **kwargs):
      with self._lock:
        count = len(self.requests)
        self.requests.append(name)
      result = method(*args, **kwargs) if self._after else None
      if self.plan:
        self.plan(count, name, args)
      return result if self._after else method(*args, **kwargs)

    return call


def failing(times, error):
  """Every request fails so many times before it goes through."""
  left = {}

  def plan(count, name, args):
    key = (name, str(args[:1]))
    left[key] = left.get(key, times) - 1
    if left[key] >= 0:
      raise error
    del left[key]

  return plan


def at(number, error):
  """The request of this number fails, and all that follow it."""

  def plan(count, name, args):
    if count >= number:
      raise error

  return plan
