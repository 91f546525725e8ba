"""Which jobs GridEngine lists."""

from __future__ import annotations

from typing import List, Set, Union

from .._submit import listing, number_of


def listed_jobs(user_name: str) -> Set[int]:
    """Return the numbers of a user's jobs that wait or run; two lines at the top are a header."""
    found = (number_of(line) for line in listing(["qstat", "-u", user_name])[2:])
    return {number for number in found if number is not None}


def monitor_sge(job_id: Union[int, List[int]], user_name: str) -> bool:
    """Return whether one of the jobs waits or runs."""
    wanted = {job_id} if isinstance(job_id, int) else set(job_id)
    return bool(wanted & listed_jobs(user_name))
