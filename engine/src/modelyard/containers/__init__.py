"""Docker: the one room that speaks to a Docker daemon, through docker-py.

Lives here: connections, and what is asked of a daemon. Never here: deciding what runs or what is built.
May import `api`. docker-py is imported where it is used: it takes a quarter of a second.
"""
