"""The error with which the load job ends when it cannot load."""


class LoadError(Exception):
    """Why nothing was loaded: the file, partition or setting, the reason, the fix.

    Glue puts the message into the job run's ErrorMessage.
    """
