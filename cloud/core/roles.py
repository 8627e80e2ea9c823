"""Login roles of the application."""

from sqlalchemy import make_url, text

from cloud.core.db import APP_ROLE, Database


async def ensure_login_role(admin_url: str, name: str, *, password: str) -> None:
    """Create a login that may do what the application may, or give an existing one this password and these limits.

    Args:
        admin_url: `postgresql://...` of a role that may create roles, in a migrated database.
        name: of the login.
        password: of the login.

    Raises:
        DatabaseUnavailableError: if the server cannot be reached.
    """
    database = await Database.connect(admin_url, pool_size=1, max_overflow=0, allow_privileged=True)
    try:
        async with database.plain_transaction() as conn:
            exists = await conn.scalar(text("SELECT true FROM pg_roles WHERE rolname = :name"), {"name": name})
            verb = "ALTER" if exists else "CREATE"
            # Names and passwords cannot be parameters of these statements, so the server quotes them.
            statements = text(
                f"SELECT format('{verb} ROLE %I LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE PASSWORD %L',"
                " CAST(:name AS text), CAST(:password AS text)), format('GRANT %I TO %I', CAST(:group AS text), CAST(:name AS text))"
            )
            role, grant = (
                await conn.execute(statements, {"name": name, "password": password, "group": APP_ROLE})
            ).one()
            await conn.exec_driver_sql(role)
            await conn.exec_driver_sql(grant)
    finally:
        await database.dispose()


def url_of_login(admin_url: str, name: str, *, password: str) -> str:
    """The same database as another login, `postgresql://...`."""
    login = make_url(admin_url).set(drivername="postgresql", username=name, password=password)
    return login.render_as_string(hide_password=False)
