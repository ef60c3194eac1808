"""The live page: a ring as it lives, and any moment of its history again in slow motion.

static      what a browser loads: one page, one style sheet, modules without a build step
pages       serves them, behind a strict content security policy
story_file  reads a story from a file and says which line is wrong
watch       serves the page with a story's file behind it: `bazaar watch`
"""
