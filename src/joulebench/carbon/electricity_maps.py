"""The latest carbon intensity of a grid, from Electricity Maps (API reference, /v3/carbon-intensity/latest).

A redirect is not followed: the token would be handed on to the other host. No word of a server, nor of an error that
may quote one, goes into a reason: a server can repeat the token.
"""

import os
import re
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Annotated, Any, Literal

import httpx
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from joulebench.config.footprint import MOST_G_PER_KWH, CarbonNow, CarbonReading
from joulebench.downloads import lacks_socks

URL = "https://api.electricitymaps.com/v3/carbon-intensity/latest"
TOKEN = "ELECTRICITY_MAPS_TOKEN"
"""The variable of the environment that holds the token. It is read nowhere else, and sent as the header auth-token."""
LIMIT_S = 10.0
LIMIT_BYTES = 65_536


class _Answer(BaseModel):
    """What is read of an answer, all of it checked; further fields are left alone."""

    model_config = ConfigDict(strict=True)

    zone: str
    carbon_intensity: Annotated[float, Field(alias="carbonIntensity", ge=0, le=MOST_G_PER_KWH, allow_inf_nan=False)]
    time: Annotated[AwareDatetime, Field(alias="datetime")]
    emission_factors: Annotated[Literal["lifecycle", "direct"], Field(alias="emissionFactorType")]
    is_estimated: Annotated[bool, Field(alias="isEstimated")]
    estimation_method: Annotated[str | None, Field(alias="estimationMethod", max_length=100)] = None
    unit: Literal["gCO2eq/kWh"] | None = None


class _Refused(Exception):  # noqa: N818
    """There is no reading; the words say why, and are safe to write down."""


def read(asked: CarbonNow, url: str = URL, limit_s: float = LIMIT_S) -> CarbonReading:
    """The reading, or null and why. It takes `limit_s` seconds at most, whatever the server does."""
    about: dict[str, Any] = {"asked": asked.model_dump(), "read_utc": _utc(datetime.now(UTC))}
    try:
        answer = _answer(asked, url, limit_s)
    except _Refused as refused:
        return CarbonReading(**about, reason=f"Electricity Maps: {refused}")
    when = _utc(answer.time)
    kind = "estimated" if answer.is_estimated else "measured"
    return CarbonReading(
        **about,
        g_per_kwh=answer.carbon_intensity,
        source=f"Electricity Maps, zone {asked.zone}, {when}, {asked.emission_factors} factors, {kind}",
        time_utc=when,
        is_estimated=answer.is_estimated,
        estimation_method=answer.estimation_method,
    )


def _answer(asked: CarbonNow, url: str, limit_s: float) -> _Answer:
    token = os.environ.get(TOKEN, "").strip()
    if not token:
        raise _Refused(f"{TOKEN} is not set in the environment")
    if not re.fullmatch(r"[!-~]+", token):
        raise _Refused(f"{TOKEN} holds characters that no token has")
    query = {
        "zone": asked.zone,
        "emissionFactorType": asked.emission_factors,
        "shouldUseFallbackCallerLookup": "false",  # else an unknown zone is answered with the caller's own
    }
    headers = {"auth-token": token, "Accept": "application/json", "Accept-Encoding": "identity"}
    body = _within(limit_s, lambda: _body(url, query, headers, limit_s))
    try:
        answer = _Answer.model_validate_json(body)
    except ValidationError as error:
        what = {".".join(str(part) for part in one["loc"] if part in _FIELDS) or "JSON" for one in error.errors()}
        raise _Refused(f"not the expected answer (wrong: {', '.join(sorted(what))})") from None
    if (answer.zone, answer.emission_factors) != (asked.zone, asked.emission_factors):
        raise _Refused(f"the answer is not of zone {asked.zone} with {asked.emission_factors} factors")
    if token in (answer.estimation_method or ""):
        raise _Refused("the answer repeats the token")
    return answer


_FIELDS = {str(field.alias or name) for name, field in _Answer.model_fields.items()}


def _body(url: str, query: dict[str, str], headers: dict[str, str], limit_s: float) -> bytes:
    body = b""
    try:
        trusted = ssl.create_default_context()  # this machine's own certificates, as its administrator keeps them
        with httpx.stream("GET", url, params=query, headers=headers, timeout=limit_s, verify=trusted) as response:
            if not response.is_success:
                raise _Refused(f"it answered {_status(response.status_code)}")
            for part in response.iter_raw():
                body += part
                if len(body) > LIMIT_BYTES:
                    raise _Refused(f"the answer is longer than {LIMIT_BYTES} bytes")
    except (httpx.HTTPError, httpx.InvalidURL, ImportError, OSError, ValueError) as error:
        raise _Refused(_why(error)) from None
    return body


def _within(limit_s: float, call: Callable[[], bytes]) -> bytes:
    """What `call` returns or raises. A time-out of the socket's alone would wait for ever on a byte now and then."""
    results: SimpleQueue[bytes | _Refused] = SimpleQueue()

    def put() -> None:
        try:
            results.put(call())
        except _Refused as refused:
            results.put(refused)
        except Exception as error:  # noqa: BLE001 (whatever it is, the one who waits has to be told)
            results.put(_Refused(f"it could not be read ({type(error).__name__})"))

    Thread(target=put, daemon=True).start()
    try:
        result = results.get(timeout=limit_s)
    except Empty:
        raise _Refused(f"no whole answer within {limit_s:g} s") from None
    if isinstance(result, _Refused):
        raise result
    return result


def _status(code: int) -> str:
    try:
        words = f"{code} {HTTPStatus(code).phrase}"
    except ValueError:
        words = str(code)
    if code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return f"{words}: it does not take this token for this zone"
    return f"{words}: redirects are not followed" if 300 <= code < 400 else words


def _why(error: Exception) -> str:
    """The kind of a failure, in words of this machine's own."""
    if lacks_socks(error):
        return "a SOCKS proxy is set, which needs the package socksio (pip install socksio)"
    cause: BaseException = error
    while inner := cause.__cause__ or cause.__context__:
        cause = inner
    if isinstance(error, httpx.TimeoutException) or isinstance(cause, TimeoutError):
        return "no answer in time"
    if isinstance(cause, ssl.SSLError):
        return "no trusted connection to it (TLS)"
    said = cause.strerror if isinstance(cause, OSError) and cause.strerror else type(error).__name__
    return f"it could not be reached or read ({said})"


def _utc(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
