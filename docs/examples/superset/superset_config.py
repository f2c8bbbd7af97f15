"""Superset for one machine: its own database in a folder, one process, no cache in between."""

import os
from pathlib import Path

from superset.config import TALISMAN_CONFIG as OF_SUPERSET

HOME = Path(os.environ["SUPERSET_HOME"])
SECRET_KEY = (HOME / "secret_key").read_text()
SQLALCHEMY_DATABASE_URI = f"sqlite:///{HOME}/superset.db?check_same_thread=false"
# what is shown is what the warehouse file holds at the moment
CACHE_CONFIG = {"CACHE_TYPE": "NullCache"}
DATA_CACHE_CONFIG = {"CACHE_TYPE": "NullCache"}
FILTER_STATE_CACHE_CONFIG = {"CACHE_TYPE": "SimpleCache"}
EXPLORE_FORM_DATA_CACHE_CONFIG = {"CACHE_TYPE": "SimpleCache"}
RATELIMIT_STORAGE_URI = "memory://"
# plain HTTP, to this machine alone; pages may load nothing from elsewhere, so nobody counts visits
TALISMAN_CONFIG = {
    **OF_SUPERSET,
    "content_security_policy": {
        **OF_SUPERSET["content_security_policy"],
        "img-src": ["'self'", "blob:", "data:"],
        "connect-src": ["'self'"],
    },
    "force_https": False,
    "session_cookie_secure": False,
}
