"""FastAPI: two uvicorn workers on uvloop and httptools, one query at a time in each.

A search is nothing but processor time, so it runs on the event loop itself: a thread pool only adds the
way to a thread and back, and the core is the worker's anyway.
"""

from __future__ import annotations

import os
import sys

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.peers.pipeline import DIVERSITY, K, Pipeline

ENCODER = "ENDCAP_PEERS_ENCODER"


class Question(BaseModel):
    """A request's body."""

    query: str
    k: int = K
    diversity: float = DIVERSITY


class Answer(BaseModel):
    """An answer's body."""

    ids: list[str]
    scores: list[float]


def application() -> FastAPI:
    """The application of one worker."""
    app = FastAPI()
    pipeline = Pipeline(os.environ[ENCODER])

    @app.post("/search")
    async def search(question: Question) -> Answer:
        return Answer(**pipeline.search(question.query, question.k, question.diversity))

    @app.post("/candidates")
    async def candidates(question: Question) -> Answer:
        return Answer(**pipeline.candidates(question.query))

    return app


if __name__ == "__main__":
    os.environ[ENCODER] = sys.argv[2]
    uvicorn.run(
        "benchmarks.peers.servers.fastapi_app:application",
        factory=True,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        workers=2,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )
