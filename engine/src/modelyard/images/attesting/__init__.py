"""What is known of an image: its bill of materials, and who signed it.

Lives here: writing bills and pushing them, keys, signing, verifying. Never here: building an image, what to
do with one that is not trusted. Talks to a registry and to no other network.
May import `environments`, `api` and the values of `images`.
"""

from modelyard.images.attesting.attaching import BILL_TYPE, attach_sbom, read_sboms
from modelyard.images.attesting.bills import Bill, CondaPackage, ImageName, load_library, write_sbom
from modelyard.images.attesting.keys import SigningKey, TrustedKey, read_signing_key, read_trusted_keys
from modelyard.images.attesting.listing import packages_in
from modelyard.images.attesting.merging import with_links_to, with_origin, with_parts_of
from modelyard.images.attesting.payloads import signature_tag
from modelyard.images.attesting.signing import sign_image
from modelyard.images.attesting.verifying import verify_image

__all__ = [
    "BILL_TYPE",
    "Bill",
    "CondaPackage",
    "ImageName",
    "SigningKey",
    "TrustedKey",
    "attach_sbom",
    "load_library",
    "packages_in",
    "read_sboms",
    "read_signing_key",
    "read_trusted_keys",
    "sign_image",
    "signature_tag",
    "verify_image",
    "with_links_to",
    "with_origin",
    "with_parts_of",
    "write_sbom",
]
