"""The script that Streamlit runs for every page, and its pictures.

It has a folder of its own because Streamlit would take a folder `pages` beside it for pages to run by themselves.
"""
