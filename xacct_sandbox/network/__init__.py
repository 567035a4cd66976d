"""Who reaches whom in the deployed VPCs: decided from what is deployed, without AWS's emulator."""
