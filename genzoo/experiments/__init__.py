"""Experiments: many small runs under one budget, reported as one table and one picture. A file of rows and
columns defines them.

plan.py        the file, and the cells it stands for
claims.py      which process is at work on a cell
cells.py       one cell: trained, resumed or skipped, then measured
report.py      the table, as text and as data, and the picture
saturation.py  the lecture's curve: log(1 - D) against -log D
*.toml         the experiments that come with genzoo
"""
