"""What backtrader sees: the broker and what plugs in around it.

``broker`` with its parts (``market`` the feeds, ``booking`` orders and fills, ``matching`` orders on the
bar's path, ``actions`` what strategies call, ``notices``, ``fidelity``, ``series`` and ``valid`` what users
hand in), ``assemble`` a Cerebro run under a broker, ``feeds``, ``commission``,
``observers``, ``analyzers``, ``sizers``.
"""
