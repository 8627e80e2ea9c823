"""A bill from a case, without a site."""

from typing import Annotated

from cloud.auth.rules import Action
from cloud.auth.schemas import Scope
from cloud.billing.case_file.shape import CaseFile
from cloud.billing.schemas.priced import PricedCase
from cloud.billing.service.ad_hoc import price_ad_hoc
from cloud.web.deps import Conn, CurrentUser, Limits, allowed
from cloud.web.limits import Rate
from cloud.web.routing import api_router

CASES_PER_MINUTE = Rate("bill-cases", 60, 60)

router = api_router(tags=["billing"])


@router.post("/bills/simulate")
async def simulate_bill(
    body: CaseFile,
    conn: Conn,
    user: CurrentUser,
    _scope: Annotated[Scope, allowed(Action.TARIFF_READ)],
    *,
    limits: Limits,
) -> PricedCase:
    """The bill that the distribution company would send for a case: company, tariff, period, units. Nothing is stored.

    The case has the form of `solarhub bill`; a file's name in `interval_csv` is refused, its text is taken.
    """
    await limits.take(CASES_PER_MINUTE, str(user.user_id))
    return PricedCase.model_validate(await price_ad_hoc(conn, body))
