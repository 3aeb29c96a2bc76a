"""HTTP as scripts see it: v1's `AMLRequest` and `AMLResponse`, on Flask where the environment has it.

What lives here: both forms of request and response, and what makes replies of responses. Without Flask
our own classes stand in, with the part of Flask's surface that scripts use. May import the worker's values,
never a style.
"""
