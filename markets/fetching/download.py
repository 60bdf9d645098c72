"""Downloads: one GET with the standard library, its failures sorted into those that pass and those that stay."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request

from markets.fetching.retry import Refused, Transient, retry_after


class Missing(Exception):
    """There is nothing at that address (HTTP 404)."""


def download(url: str, timeout_seconds: float) -> bytes:
    """The body of an answer, whole; one that is shorter than it says is Transient.

    Raises Missing, Refused or Transient.
    """
    request = urllib.request.Request(url, headers={"User-Agent": "crossgate", "Accept-Encoding": "identity"})
    try:
        with urllib.request.urlopen(request, timeout=timeout_seconds) as answer:
            body: bytes = answer.read()
            return body
    except urllib.error.HTTPError as error:
        with error:
            raise _status(error) from None
    except http.client.IncompleteRead:
        raise Transient("its answer was cut short") from None
    except TimeoutError:
        raise Transient("no answer in time") from None
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError) as error:
        raise Transient(f"no connection ({getattr(error, 'reason', error)})") from None


def _status(error: urllib.error.HTTPError) -> Exception:
    if error.code == 404:
        return Missing(error.url)
    if error.code in (408, 418, 429) or error.code >= 500:
        wait = retry_after(error.headers.get("Retry-After"), error.headers.get("Date"))
        return Transient("too many requests" if error.code in (418, 429) else f"HTTP {error.code}", wait)
    return Refused(f"HTTP {error.code} {error.reason}")
