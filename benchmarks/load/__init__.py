"""The Glue job beside the simplest Spark job over the same files, and beside the reference's."""
