"""`bazaar drill`: faults in a ring under load, what they cost, and the proof that nothing was lost.

`place.py` is what a drill needs of a ring; `local.py` finds it on this machine, `cluster.py` in a
Kubernetes cluster. `engine.py` puts one fault behind the other, `counting.py` tells what each cost,
`figures.py` makes drill.json of it, `verdict.py` judges, `screen.py` shows. Orders come from
`bazaar load`, in a process or a pod of its own, and the audit is that of `bazaar verify --url`.
"""
