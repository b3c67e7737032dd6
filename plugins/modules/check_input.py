# SPDX-License-Identifier: MIT
"""Documentation of the check_input action; the code is in plugins/action/check_input.py."""

DOCUMENTATION = r"""
module: check_input
short_description: Answer a mistake in a role's variables in one sentence
description:
  - Compares the variables of the calling role with its C(meta/argument_specs.yml). A variable that has
    the role's prefix but is not in the specification is a typo. Runs on the controller and changes nothing.
options:
  ranges:
    description: Smallest and largest allowed value of numeric variables, as C({name: [min, max]}).
    type: dict
    default: {}
  patterns:
    description: >-
      What a string (or each string of a list) must look like, as C({name: [regular expression, words]}).
      The words complete the sentence "... must be".
    type: dict
    default: {}
"""
