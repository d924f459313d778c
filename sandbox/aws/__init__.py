"""AWS as MiniStack and moto do not have it: what they lack, refuse too little or let pass."""
