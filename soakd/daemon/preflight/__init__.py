"""Everything that would stop the run, found before it starts, each with how to mend it.

`trial` starts engines and servers, and is imported only if that is asked for: the others only look, and are quick.
"""

from soakd.daemon.preflight.environments import check_environments, check_factories
from soakd.daemon.preflight.finding import Finding
from soakd.daemon.preflight.host import check_host, check_preparation
from soakd.daemon.preflight.outlook import outlook

__all__ = ["Finding", "check_environments", "check_factories", "check_host", "check_preparation", "outlook"]
