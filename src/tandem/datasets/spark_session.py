"""The Spark session of this process, started by the first dataset that needs it, and stopped by Ctrl-C."""

import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from pyspark import SparkContext
from pyspark.errors import PySparkRuntimeError
from pyspark.sql import SparkSession

from tandem.errors import UserError

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

# Set when Java is stopped in the middle of its work: what it says of that is of no use to anybody.
_stopped = threading.Event()

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
    except Exception as error:
        _failed.append(error)


def spark_session() -> SparkSession:
    """The active session, or a new one with the configuration in ``PYSPARK_SUBMIT_ARGS``."""
    with _starting:
        active = SparkSession.getActiveSession()
        if active is not None:
            return active
        if SparkContext._active_spark_context is not None:  # active in another thread
            return SparkSession.builder.getOrCreate()
        if _failed:
            raise _failed.pop()
        with _without_banners(), _keeping_the_handler_of_ctrl_c():
            return _started()


def _started() -> SparkSession:
    try:
        session = SparkSession.builder.getOrCreate()
    except PySparkRuntimeError as error:
        if error.getCondition() != "JAVA_GATEWAY_EXITED" or _stopped.is_set():
            raise
        raise UserError(
            "Spark's Java ended as it started (what it said stands above); check java -version, which must be 17 or "
            "newer, the parameter spark.driver_memory, and spark.driver.extraJavaOptions in conf/*/spark.yml"
        ) from error
    keep_lookups(session)
    return session


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
    """Stop Spark, if it runs, without waiting for it: what other threads wait for from it fails at once."""
    _stopped.set()
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


@contextmanager
def _without_banners() -> Iterator[None]:
    """Java started inside writes its standard error through a filter that lets all but the banners pass."""
    sys.stderr.flush()
    original = os.dup(2)
    reading, writing = os.pipe()
    threading.Thread(target=_copy_lines, args=(reading, os.dup(original)), daemon=True).start()
    os.dup2(writing, 2)
    os.close(writing)
    try:
        yield
    finally:
        os.dup2(original, 2)
        os.close(original)


def _copy_lines(source: int, target: int) -> None:
    with os.fdopen(source, "rb") as lines, os.fdopen(target, "wb", buffering=0) as out:
        for line in lines:
            if not _stopped.is_set() and not any(banner in line for banner in BANNERS):
                out.write(line)
