"""What backtrader sees: the broker and what plugs in around it.

``broker`` with its parts (``market`` the feeds, ``booking`` orders and fills, ``matching`` orders on the
bar's path, ``actions`` what strategies call, ``notices``, ``fidelity``), ``feeds``, ``commission``,
``observers``, ``analyzers``, ``sizers``.
"""
