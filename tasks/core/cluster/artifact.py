"""`artifact.json` of a release that runs in clusters: its images by digest, and its manifests for each environment."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from tasks.core.cluster.documents import Document
from tasks.core.cluster.state import Manifests
from tasks.core.delivery_settings import ComponentSettings
from tasks.core.platform import PlatformTrouble


class ClusterArtifact(BaseModel):
    """`images` holds a reference with a digest for each component, `manifests` the documents by environment."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    components: Mapping[str, ComponentSettings]
    images: Mapping[str, str]
    manifests: Mapping[str, tuple[Document, ...]]

    def manifests_for(self, environment: str) -> Manifests:
        if environment not in self.manifests:
            known = ", ".join(self.manifests) or "none"
            raise PlatformTrouble(f"the release has no manifests for {environment}; it has them for: {known}")
        return Manifests(documents=self.manifests[environment], images=self.images)
