"""A scope as part of a query."""

from typing import Any, TypeVar

from sqlalchemy import Select

from cloud.auth.schemas import Scope

_StatementT = TypeVar("_StatementT", bound=Select[*tuple[Any, ...]])


def scoped(statement: _StatementT, column: Any, scope: Scope) -> _StatementT:  # noqa: ANN401 -- a column of any table
    """The statement, limited to rows whose `organization_id` column is in the scope.

    Row-level security limits the same rows again in the database: a forgotten call shows nothing of strangers, but could show
    a member what the role does not include.
    """
    return statement if scope.everything else statement.where(column.in_(sorted(scope.organization_ids)))
