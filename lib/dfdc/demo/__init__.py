"""A small data set in DFDC's layout, made of real faces, for demonstrations and tests."""

from dfdc.demo.dataset import DemoSettings, make_demo_data

__all__ = ["DemoSettings", "make_demo_data"]
