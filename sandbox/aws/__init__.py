"""AWS beyond MiniStack and moto: what they lack, and what AWS refuses and they accept."""
