"""The stages from an inversion to its queries: by rules, or by a language model."""

from collections.abc import Callable
from pathlib import Path

from data_builders.llm_querying import DistinctQueryStage, LlmQueryStage, QueryTaskStage
from data_builders.query_extraction import RuleQueryConfig
from data_builders.query_request import LlmQueryConfig
from data_builders.querying import RuleQueryStage
from pe.engines.llm import LlmConfig, identify_model
from pe.engines.llm_session import LlmSession, make_llm
from pe.stages.stage import Stage

CACHE = "llm_answers.sqlite"


def make_query_stages(
    rules: RuleQueryConfig,
    query: LlmQueryConfig,
    llm: LlmConfig,
    *,
    out: Path,
    say: Callable[[str], None],
) -> list[Stage]:
    """Make the stages from inversion to query; a language model is used where one is named.

    Its answers are kept in `out`, so that none is asked for twice.

    Raises ValueError for few-shot examples that cannot be used.
    """
    if not llm.model:
        return [RuleQueryStage(rules)]

    def make_session() -> LlmSession:
        return LlmSession(make_llm(llm, say=say), llm, cache=out / CACHE)

    asking = LlmQueryStage(
        query,
        model=identify_model(llm),
        temperature=llm.temperature,
        max_tokens=llm.max_tokens,
        make_session=make_session,
    )
    return [QueryTaskStage(query), asking, DistinctQueryStage()]
