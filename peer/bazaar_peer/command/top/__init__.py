"""`bazaar top`: a living ring in a terminal, from wherever one of its peers can be reached.

story    sentences of what peers tell
latency  percentiles of the last seconds, from the peers' metrics
reigns   who has traded, and how long nobody did
charts   bars, and latency over time, of characters
model    what is known of the ring; pure: answers and events in, state out
watch    asks the peers and listens to them, over the death of any of them
screen   draws the model
"""
