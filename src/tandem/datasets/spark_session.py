"""The Spark session of this process, started by the first dataset that needs it, and stopped by what ends a run."""

import os
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark import SparkContext, java_gateway
from pyspark.errors import PySparkRuntimeError
from pyspark.sql import SparkSession

from tandem.datasets.java_start import cause_of, unknown_cause
from tandem.errors import UserError
from tandem.surroundings import has_name, user_name

# What the Java side prints before any logging configuration of ours is read, and TensorFlow in a Python process of
# Spark's whatever its level of logging.
BANNERS = (
    b"WARNING: Using incubator modules",
    b"Using Spark's default log4j profile",
    b"Setting default log level to",
    b"Setting Spark log level to",
    b"To adjust logging level use",
    b"Unable to load native-hadoop library",
    b"resolves to a loopback address",
    b"Set SPARK_LOCAL_IP if you need",
    b"All log messages before absl::InitializeLog()",
    b"oneDNN custom operations are on",
    b"This TensorFlow binary is optimized to use available CPU instructions",
    b"To enable the following instructions",
)

_LAST_WORDS_SECONDS = 10.0

# In the environment of the Java that this process starts: the number of this process.
DRIVER = "TANDEM_DRIVER"

# Set when Java is stopped in the middle of its work: what it says of that is of no use to anybody.
_stopped = threading.Event()

# Set when this process is to end: nobody is given a session any more.
_ending = threading.Event()

# Kedro loads and saves a node's datasets in threads of their own: the first starts the session, the others wait.
_starting = threading.Lock()

# Of a start in the background: whoever needs the session then is told.
_failed: list[Exception] = []


def start_in_background() -> None:
    """Have Java start while Kedro gets ready; both take seconds, of one core each."""
    threading.Thread(target=_try_to_start, name="spark-start").start()


def _try_to_start() -> None:
    try:
        spark_session()
    except KeyboardInterrupt:  # the process is to end, and nobody needs the session
        return
    except Exception as error:
        _failed.append(error)


def spark_session() -> SparkSession:
    """The active session, or a new one with the configuration in ``PYSPARK_SUBMIT_ARGS``.

    Raises KeyboardInterrupt where the process is to end: a thread that does not know it yet would start another Java.
    """
    with _starting:
        if _ending.is_set():
            raise KeyboardInterrupt
        active = SparkSession.getActiveSession()
        if active is not None:
            return active
        if SparkContext._active_spark_context is not None:  # active in another thread
            return SparkSession.builder.getOrCreate()
        if _failed:
            raise _failed.pop()
        with _keeping_the_handler_of_ctrl_c():
            session = _started()
        if _ending.is_set():
            _stop(session)
            raise KeyboardInterrupt
        keep_lookups(session)
        return session


def _started() -> SparkSession:
    said = _Words()
    try:
        if SparkContext._gateway is None:
            _start_java(said)
        return SparkSession.builder.getOrCreate()
    except (OSError, PySparkRuntimeError, Py4JJavaError) as error:
        if _stopped.is_set():
            raise
        if isinstance(error, PySparkRuntimeError) and error.getCondition() == "JAVA_GATEWAY_EXITED":
            words = said.to_the_end()
            cause = cause_of(words)
            if cause is not None:
                said.forget()
            raise UserError(cause or unknown_cause(words)) from error
        cause = cause_of(str(error))
        if cause is None:
            raise
        raise UserError(cause) from error
    finally:
        said.pass_on()


def _start_java(said: "_Words") -> None:
    """Start Java with the configuration in ``PYSPARK_SUBMIT_ARGS``, and tell its Hadoop who runs it.

    By itself Hadoop asks for the name of the user's number, and fails where that has none.
    """
    launch: Any = java_gateway.launch_gateway
    os.environ[DRIVER] = str(os.getpid())
    try:
        with said.open() as target:
            gateway = launch(popen_kwargs={"stdout": target, "stderr": target})
    except KeyboardInterrupt:
        _end_starting_java()
        raise
    SparkContext._ensure_initialized(gateway=gateway)
    if not has_name():
        users = gateway.jvm.org.apache.hadoop.security.UserGroupInformation
        users.setLoginUser(users.createRemoteUser(user_name(os.environ)))


def _end_starting_java() -> None:
    """PySpark does not, and Java, which cannot tell any more where it listens, would wait for ever."""
    mark = f"{DRIVER}={os.getpid()}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (process / "environ").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGKILL)


def keep_lookups(session: SparkSession) -> None:
    """Ask Java once, and not at every use, what the names that make up most of any plan stand for.

    py4j sends a question for ``functions`` and one for ``col`` with every column, and Java looks through all its jars
    for some of them: 6,000 questions and a second in a preparation of 100,000 rows. What it answers holds no state.
    """
    java: Any = session._jvm
    java.PythonUtils = java.PythonUtils
    java.functions = functions = java.functions
    setattr(java, "org.apache.spark.sql.functions", functions)
    for name in ("col", "lit", "when", "coalesce", "concat"):
        setattr(functions, name, getattr(functions, name))
    java.PythonUtils.toSeq = java.PythonUtils.toSeq


def stop_java() -> None:
    """Stop Spark for good, if it runs, without waiting for it: what other threads wait for from it fails at once.

    One that is just starting is stopped when it has.
    """
    _stopped.set()
    _ending.set()
    context = SparkContext._active_spark_context
    if context is not None:
        threading.Thread(target=_stop, args=(context,), daemon=True).start()


def _stop(spark: SparkContext | SparkSession) -> None:
    with warnings.catch_warnings(action="ignore"), suppress(Exception):  # Java may be gone already
        spark.stop()


@contextmanager
def stopped_by_interrupt(session: SparkSession) -> Iterator[None]:
    """On Ctrl-C Java is stopped too: else it would go on writing into folders that are being removed."""
    try:
        yield
    except KeyboardInterrupt:
        _stopped.set()
        _stop(session)
        raise


@contextmanager
def _keeping_the_handler_of_ctrl_c() -> Iterator[None]:
    """Spark's own asks Java to cancel its jobs, over the connection that the interrupted call is still waiting on."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)


class _Words:
    """What Java prints: kept while it starts, then passed on to our standard error, all but the banners."""

    def __init__(self) -> None:
        self._kept: list[bytes] | None = []
        self._over = threading.Event()
        self._lock = threading.Lock()

    @contextmanager
    def open(self) -> Iterator[int]:
        """What to have Java write into, to be inherited inside."""
        reading, writing = os.pipe()
        threading.Thread(target=self._copy, args=(reading,), daemon=True).start()
        try:
            yield writing
        finally:
            os.close(writing)

    def forget(self) -> None:
        """Keep back what an error line tells better."""
        with self._lock:
            self._kept = []

    def pass_on(self) -> None:
        """Write what was kept, and from now on every line as it comes."""
        with self._lock:
            for line in self._kept or ():
                _write(line)
            self._kept = None

    def to_the_end(self) -> str:
        """All that was said by a Java that has ended."""
        self._over.wait(_LAST_WORDS_SECONDS)
        with self._lock:
            return b"".join(self._kept or ()).decode(errors="replace")

    def _copy(self, source: int) -> None:
        with os.fdopen(source, "rb") as lines:
            for line in lines:
                if not _stopped.is_set() and not any(banner in line for banner in BANNERS):
                    self._take(line)
        self._over.set()

    def _take(self, line: bytes) -> None:
        with self._lock:
            if self._kept is None:
                _write(line)
            else:
                self._kept.append(line)


def _write(line: bytes) -> None:
    with suppress(OSError):
        os.write(2, line)
