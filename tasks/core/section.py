"""The base of every part of the configuration: frozen, and a key it does not know is refused."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A table of towpath.toml. Each field has a default, a unit, a bound and a reason."""

    model_config = ConfigDict(extra="forbid", frozen=True)
