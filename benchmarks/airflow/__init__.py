"""The reference to compare with: its eight-task DAG, in an Airflow of its own."""
