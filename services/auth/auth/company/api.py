"""The company's settings over HTTP."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import available_timezones

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field, StringConstraints

from auth.company import messages, store
from auth.company.domain import DEFAULTS, INK, LEAST_CONTRAST
from auth.edge import SignedIn, Strict
from chassis.http.bodies import StrictRoute
from chassis.http.identity import Identity, allow
from chassis.http.problems import refused
from chassis.running import cause_of, running_of
from contracts.auth import MailAddress
from contracts.colours import brand, contrast
from contracts.normal import Name

router = APIRouter(route_class=StrictRoute)
WriteCompany = Annotated[Identity, allow("company:write", by="company")]
ZONES = available_timezones()
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500, pattern=r"^[^\x00]*$")]
Logo = Annotated[
    str, StringConstraints(max_length=200_000, pattern=r"^data:image/(png|svg\+xml|jpeg|webp);base64,[A-Za-z0-9+/=]+$")
]


Colour = Annotated[str, StringConstraints(pattern="^#[0-9a-fA-F]{6}$", to_lower=True)]


class Tax(Strict):
    country: Annotated[str, StringConstraints(pattern="^[A-Z]{2}$")] | None = None
    vat_id: Text | None = None
    registration: Text | None = None
    address: Text | None = None


class Company(Strict):
    """Its name and looks in the portal and in mails, its time zone, and its tax data as a seller."""

    name: Name
    logo: Annotated[Logo | None, Field(description="A data URL of a picture, at most 200,000 characters")] = None
    brand_colour: Colour = DEFAULTS["brand_colour"]
    time_zone: str = DEFAULTS["time_zone"]
    languages: Annotated[
        list[Annotated[str, StringConstraints(pattern="^(en|es)$")]], Field(min_length=1, max_length=2)
    ] = Field(default_factory=lambda: ["en", "es"])
    reply_address: MailAddress | None = None
    tax: Tax | None = None


class CompanyView(BaseModel):
    name: str
    logo: str | None
    brand_colour: str
    time_zone: str
    languages: list[str]
    reply_address: str | None
    tax: Tax | None


class Look(BaseModel):
    """How the company's pages look. `text_on_…`: the colour of a text on that colour."""

    name: str
    logo: str | None
    brand_colour: str
    text_on_brand: str
    brand_colour_dark: str
    text_on_brand_dark: str
    time_zone: str
    languages: list[str]


@router.get("/v1/company")
async def read_company(request: Request, who: SignedIn) -> CompanyView:
    """The company's settings."""
    return CompanyView(**DEFAULTS | (await store.load_company(running_of(request).pool) or {}))


@router.get("/v1/company/look")
async def read_look(
    request: Request,
    response: Response,
    brand_colour: Annotated[Colour | None, Query(description="Show how this colour would look, as `#0e5358`.")] = None,
) -> Look:
    """The company's name and looks, for everybody: the pages of signing in show them. It may be kept for a minute.

    If white text can't be read on the `brand_colour` that is asked for, the answer has a darker one that can be saved.
    """
    response.headers["Cache-Control"] = "public, max-age=60"
    kept = DEFAULTS | (await store.load_company(running_of(request).pool) or {})
    found = brand(brand_colour or kept["brand_colour"])
    colours = {"brand_colour": found.colour, "text_on_brand": found.on}
    dark = {"brand_colour_dark": found.dark_colour, "text_on_brand_dark": found.dark_on}
    return Look(**{name: kept[name] for name in ("name", "logo", "time_zone", "languages")}, **colours, **dark)


@router.put("/v1/company")
async def change_company(request: Request, body: Company, who: WriteCompany) -> CompanyView:
    """Change the company's settings, all at once. A brand colour on which white text can't be read is refused."""
    if body.time_zone not in ZONES:
        raise refused("no such time zone: write it as America/New_York", field="time_zone")
    if (found := contrast(body.brand_colour, INK)) < LEAST_CONTRAST:
        reason = (
            f"white text on it has a contrast of {found:.1f}; at least {LEAST_CONTRAST} is needed: "
            f"take a darker one, as {brand(body.brand_colour).colour}"
        )
        raise refused(reason, field="brand_colour")
    settings = body.model_dump(mode="json")
    async with running_of(request).units.begin(cause_of(request, who)) as work:
        sequence = await store.save_company(work, settings)
        work.emit(messages.of(settings, sequence, work.now))
    return CompanyView(**settings)
