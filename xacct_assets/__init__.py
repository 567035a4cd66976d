"""Product data across two AWS accounts, as Dagster assets with every hop proven."""
