"""The name of every setting of the suite.

The services share one environment (compose file, `hwp up`), so that each has to know the others'
names to tell a foreign setting from a mistyped one. A new setting is added here;
`tests/serving/test_known_names.py` looks.
"""

KNOWN_NAMES = frozenset(
    {
        # All services.
        "HWP_BIND",
        "HWP_GRACE",
        "HWP_LAB",
        "HWP_LOG_FORMAT",
        "HWP_LOG_LEVEL",
        "HWP_REDIS_URL",
        # Allocate, heartbeat, resource manager.
        "HWP_ALLOCATE_PORT",
        "HWP_HEARTBEAT_PORT",
        "HWP_MANAGER_PORT",
        "HWP_MANAGER_ID",
        "HWP_JOURNAL",
        "HWP_MARK",
        "HWP_ALLOCATE_API",
        "HWP_CONFIG_FILE",
        "HWP_STATE_DIR",
        "HWP_LOST_LIMIT",
        "HWP_OFFER_LIMIT",
        "HWP_OUTAGE_LIMIT",
        "HWP_POLICY_FILE",
        "HWP_PREPARE_TRIES",
        "HWP_RETENTION",
        "HWP_SILENCE_LIMIT",
        "HWP_WORKERS",
        # `hwp up`, the command line and the pytest plugin.
        "HWP_HEARTBEAT_API",
        "HWP_REDIS_SERVER",
        "HWP_CONTACT_LIMIT_S",
        # What `hwp run` tells the command that it runs, which may be one of ours.
        "HWP_ALLOCATION_ID",
        "HWP_HOST",
        "HWP_HOSTS",
        "HWP_TOKEN",
    }
)

#: What further names may begin with: one for each host of `hwp run`, and those of our own tests.
KNOWN_PREFIXES = ("HWP_HOST_", "HWP_TEST_")
