"""How does a run ask its upstream? Within its source's limits, and every request counted for the run."""

from collections.abc import Mapping

from kasparro import errors
from kasparro.etl import fetch
from kasparro.etl.job import Job
from kasparro.etl.readers.json_api import Get
from kasparro.model import Traffic


def asker(http: fetch.Http, job: Job) -> Get:
    """The function that the job's reader asks with. It raises FetchError, and StoppedError when the job is to stop."""
    limits = fetch.limits_of(job.source) if job.source.http is not None else None

    def get(
        url: str, params: Mapping[str, str], headers: Mapping[str, str], validators: Mapping[str, str]
    ) -> fetch.Answer:
        if limits is None:
            raise errors.FetchError(f"{job.source.name} has no upstream to ask", code="no_upstream", retryable=False)
        job.check()
        page = job.answers + 1
        job.at("fetch", page=page)
        try:
            answer = http.get(url, params=params, headers=headers, validators=validators, limits=limits)
        except errors.FetchError as ex:
            job.add_traffic(Traffic(requests=1, throttled=int(ex.code == "http_429")))
            raise
        job.add_traffic(Traffic(requests=1, bytes_read=answer.bytes_read))
        job.at("fetch", "after", page=page)
        job.answers += 1
        return answer

    return get
